"""Opens sealed references one after the other; each embedding is wiped before the next is opened."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self, final

from volens.consent import Custody, PersonSecret, ReceiptId, UnitVector
from volens.store import Store
from volens.store.keys import GrantSecret, lost_secret
from volens.store.people import SealedReference
from volens.store.people.consents import LiveConsents


@final
class ReferenceOpener:
    """Opens sealed references. A context manager: holds the fetched grant secrets, and wipes them at the end."""

    def __init__(self, store: Store, person: PersonSecret | None = None) -> None:
        """Open references of a store; those that need the person's half of the key open only with `person`."""
        self._store = store
        self._person = person
        self._secrets: dict[ReceiptId, GrantSecret] = {}

    def fetch(self, references: Iterable[SealedReference]) -> None:
        """Unwrap the grant secrets of references, with one query; destroyed ones are left out.

        Raises:
            TamperError: a secret was put in the place of another.
        """
        wanted = {reference.receipt.receipt_id for reference in references}.difference(self._secrets)
        if wanted:
            self._secrets.update(self._store.keyring.grant_secrets(wanted))

    @contextmanager
    def opened(self, reference: SealedReference) -> Generator[UnitVector | None]:
        """Open a reference whose secret was fetched; the embedding is wiped at the end of the block.

        None if a withdrawal in another process destroyed the secret since the caller's snapshot, or if the reference
        needs the person's half of its key and `person` was not given.

        Raises:
            TamperError: it does not open, or the keyring has no secret for a consent that is in force.
        """
        secret = self._secrets.get(reference.receipt.receipt_id)
        if secret is None:
            check_ended(self._store, reference)
            yield None
            return
        if reference.custody is not Custody.OPERATOR and self._person is None:
            yield None
            return
        vector = _open(reference, secret, self._person)
        try:
            yield vector
        finally:
            vector.wipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for secret in self._secrets.values():
            secret.wipe()


def check_ended(store: Store, reference: SealedReference) -> None:
    """Check that a consent without a secret has ended in another process since it was read.

    Raises:
        TamperError: it is in force.
    """
    owner = reference.receipt
    with store.read() as connection:
        if LiveConsents(connection).live_until(owner.receipt_id, owner.subject_id, owner.purpose) is not None:
            raise lost_secret()


def opened(
    store: Store, references: Sequence[SealedReference], person: PersonSecret | None = None
) -> Iterator[tuple[SealedReference, UnitVector]]:
    """Yield each reference that opens, with its embedding, which is wiped before the next one; see `ReferenceOpener`.

    Raises:
        TamperError: a reference does not open, or the keyring has no secret for a consent that is in force.
    """
    with ReferenceOpener(store, person) as opener:
        opener.fetch(references)
        for reference in references:
            with opener.opened(reference) as vector:
                if vector is not None:
                    yield reference, vector


def _open(reference: SealedReference, secret: GrantSecret, person: PersonSecret | None) -> UnitVector:
    if reference.custody is Custody.OPERATOR or person is None:
        return reference.open(secret)
    with secret.joined(person) as whole:
        return reference.open(whole)
