"""An erasure shown to have held, on demand: every file is searched again for the fingerprints in the certificate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from volens.audit import VerifierKey
from volens.consent import (
    ErasureIncompleteError,
    InputError,
    NoLiveConsentError,
    ReceiptId,
    RefusedError,
    TamperError,
    UnknownError,
)
from volens.erase.absence import fingerprints
from volens.erase.journal import ErasureState, certificates_of, receipt_of_certificate, rows_left, states_of
from volens.erase.needles import Hit, Needles
from volens.erase.places import RESUME, Place, search_places
from volens.erase.proof.certificate import certificate_file, verify_certificate
from volens.index import Galleries
from volens.store import Store
from volens.store.people import stored_receipts
from volens.store.programs import acknowledgements_of


@final
@dataclass(frozen=True, slots=True)
class Absent:
    """What a search after an erasure came to.

    Attributes:
        certificate_ids: of the erasures.
        searched: how many fingerprints were searched for, by what they are of.
        places: what was searched, as in the certificate.
        hits: what was found nevertheless, and where.
    """

    certificate_ids: Sequence[str]
    searched: Mapping[str, int]
    places: Sequence[Place]
    hits: Sequence[Hit]

    @property
    def size_bytes(self) -> int:
        """How much was searched."""
        return sum(int(place["size_bytes"]) for place in self.places)


@final
class Erasures:
    """The erasures of a site, looked back on."""

    def __init__(self, store: Store, galleries: Galleries, home: Path) -> None:
        """Look at a site."""
        self._store = store
        self._galleries = galleries
        self._home = home

    def certificate(self, certificate_id: str) -> bytes:
        """Return a certificate's file, with what recipients have answered so far.

        Raises:
            InputError: there is none of this id here.
        """
        with self._store.read() as connection:
            receipt_id = receipt_of_certificate(connection, certificate_id)
            if receipt_id is None:
                raise UnknownError("there is no certificate of this id here; it stands in the certificate's file")
            stored = certificates_of(connection, [receipt_id])[receipt_id]
            answers = acknowledgements_of(connection, [receipt_id]).get(receipt_id, ())
        return certificate_file(stored.token, answers)

    def of_certificate(self, data: bytes) -> ReceiptId | None:
        """Return the consent whose erasure a certificate file of this site certifies; None: it is no such file.

        Raises:
            TamperError: it is one, but was changed, or is another site's.
        """
        try:
            certificate = verify_certificate(data, self._store.verifier_key)
        except InputError:
            return None
        with self._store.read() as connection:
            found = receipt_of_certificate(connection, certificate.certificate_id)
        if found is None:
            raise TamperError("integrity: this site signed a certificate that it does not know; restore the data file")
        return found

    def prove(self, receipt_ids: Sequence[ReceiptId]) -> Absent:
        """Search for what is left of erased consents of one person: rows, secrets, and fingerprints in every file.

        A fingerprint is the nonce of a sealed box: the first bytes of every copy of it. A piece of a box without its
        beginning is not found; nobody has the key to it.

        Raises:
            NoLiveConsentError: no consent is meant.
            RefusedError: a consent is in force, so nothing was erased; or the certificate is of a version without
                fingerprints.
            ErasureIncompleteError: an erasure is not finished; or a row or a secret is there again.
            TamperError: a certificate is missing, or not the one that was signed.
        """
        ids = list(dict.fromkeys(receipt_ids))
        with self._store.read() as connection:
            known, states = stored_receipts(connection, ids), states_of(connection, ids)
            certificates, rows = certificates_of(connection, ids), rows_left(connection, ids)
        if not ids or len(known) < len(ids):
            raise NoLiveConsentError("no consent of this person was ever given here; there is nothing to prove")
        if len(states) < len(ids):
            raise RefusedError(
                f"{len(ids) - len(states)} of {len(ids)} consents of this person are in force and not erased; "
                "withdraw first"
            )
        if any(state is not ErasureState.NOTIFIED for state in states.values()):
            raise ErasureIncompleteError(f"the erasure is not finished; run '{RESUME}'")
        if len(certificates) < len(ids):
            raise TamperError("integrity: a finished erasure has no certificate; restore the data file")
        if rows or self._store.keyring.wrapped_all(ids):
            raise ErasureIncompleteError(
                "a row or a secret of the erased consent is there again; ask how it came there"
            )
        statements = {
            one: _statement(certificate.token, self._store.verifier_key) for one, certificate in certificates.items()
        }
        if any("existed" not in statement for statement in statements.values()):
            raise RefusedError("the certificate is of version 1, which kept no fingerprints to search for")
        needles = Needles.gathered(fingerprints(one, statement) for one, statement in statements.items())
        searched = search_places(needles, self._home, self._galleries)
        return Absent(
            [certificates[one].certificate_id for one in ids], needles.counts(), searched.places, searched.hits
        )


def _statement(token: str, key: VerifierKey) -> Mapping[str, Any]:
    try:
        return verify_certificate(certificate_file(token), key).statement
    except InputError:
        raise TamperError("integrity: a stored certificate is damaged; restore the data file") from None
