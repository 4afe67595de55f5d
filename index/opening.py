"""Sealed references opened one after the other, each wiped before the next."""

from collections.abc import Callable, Iterator, Sequence

from consent import Custody, PersonSecret, TamperError, UnitVector
from store import GrantSecret, Ledger, SealedReference, Store


def _always(_reference: SealedReference) -> bool:
    return True


def opened(
    store: Store,
    references: Sequence[SealedReference],
    wanted: Callable[[SealedReference], bool] = _always,
    person: PersonSecret | None = None,
) -> Iterator[tuple[SealedReference, UnitVector]]:
    """Yield each reference with its embedding, which is wiped when the next is asked for, or when iteration ends.

    `wanted` is asked before each; the first no ends the iteration, and the rest stays sealed.

    A reference whose secret was destroyed since the caller's snapshot, by a withdrawal in another process, is left out;
    so is one that opens only with the person's half of its key, unless `person` is that half.

    Raises:
        TamperError: a reference does not open, or the keyring lacks the secret of a consent that is in force.
    """
    secrets = store.keyring.grant_secrets({reference.receipt.receipt_id for reference in references})
    try:
        for reference in references:
            if not wanted(reference):
                return
            secret = secrets.get(reference.receipt.receipt_id)
            if secret is None:
                _must_have_ended(store, reference)
                continue
            if reference.custody is not Custody.OPERATOR and person is None:
                continue
            vector = _open(reference, secret, person)
            try:
                yield reference, vector
            finally:
                vector.wipe()
    finally:
        for secret in secrets.values():
            secret.wipe()


def _open(reference: SealedReference, secret: GrantSecret, person: PersonSecret | None) -> UnitVector:
    if reference.custody is Custody.OPERATOR or person is None:
        return reference.open(secret)
    with secret.joined(person) as whole:
        return reference.open(whole)


def _must_have_ended(store: Store, reference: SealedReference) -> None:
    owner = reference.receipt
    with store.read() as connection:
        if Ledger(connection).live_until(owner.receipt_id, owner.subject_id, owner.purpose) is not None:
            raise TamperError(
                "integrity: the keyring has no secret for a consent in force; restore the keyring that belongs to this "
                "data file"
            )
