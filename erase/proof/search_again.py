"""Proof on demand that an erasure still holds: searches every file again for the boxes that the certificate hashed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, final

from volens.audit import VerifierKey
from volens.consent import (
    ErasureIncompleteError,
    InputError,
    NoLiveConsentError,
    ReceiptId,
    RefusedError,
    UnknownError,
)
from volens.consent.errors import DamagedDataError
from volens.erase.box_search import BoxHash, BoxSearch
from volens.erase.journal import ErasureState, certificates_of, receipt_of_certificate, rows_left, states_of
from volens.erase.needles import Hit
from volens.erase.places import RESUME, SearchedPlace, search_places
from volens.erase.proof.certificate import CERTIFICATE, verify_certificate
from volens.erase.proof.certificate_list import (
    PAGE,
    CertificateFilter,
    IssuedCertificate,
    ids_beginning_with,
    issued_certificates,
)
from volens.erase.proof.witnessed import witnessed_head
from volens.index import Installation
from volens.store.people import stored_receipts
from volens.store.promises import acknowledgements_of
from volens.store.promises.jurisdiction_clocks import clocks_in

_SEARCHABLE: Final = 3
"""Certificates of this version state the size of each hashed value."""


@final
@dataclass(frozen=True, slots=True)
class Absent:
    """The result of a search after an erasure.

    Attributes:
        searched: the number of sealed values searched for, by their kind.
        places: the places searched, as in the certificate.
        hits: copies found nevertheless, and where.
    """

    certificate_ids: Sequence[str]
    searched: Mapping[str, int]
    places: Sequence[SearchedPlace]
    hits: Sequence[Hit]

    @property
    def size_bytes(self) -> int:
        """The number of bytes searched."""
        return sum(int(place["size_bytes"]) for place in self.places)


@final
class Erasures:
    """The finished erasures of a site: certificates and repeated searches."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = installation.store

    def certificate(self, certificate_id: str) -> bytes:
        """Return a certificate's file, with the answers of recipients and the cosignatures of witnesses so far.

        Raises:
            UnknownError: there is no certificate of this id here.
        """
        receipt_id = self.consent_of(certificate_id)
        with self._store.read() as connection:
            stored = certificates_of(connection, [receipt_id])[receipt_id]
            answers = acknowledgements_of(connection, [receipt_id]).get(receipt_id, ())
            witnessed = witnessed_head(connection, stored.token, self._store.verifier_key)
        return CERTIFICATE.to_file(stored.token, answers, None if witnessed is None else witnessed.to_json())

    def issued(self, wanted: CertificateFilter, *, after: str = "", limit: int = PAGE) -> list[IssuedCertificate]:
        """Return a page of the certificates that were issued, the newest end first; see `issued_certificates`."""
        with self._store.read() as connection:
            return issued_certificates(connection, wanted, after=after, limit=limit)

    def ids_beginning_with(self, beginning: str) -> list[str]:
        """Return up to two ids of certificates that begin with some hexadecimal digits."""
        with self._store.read() as connection:
            return ids_beginning_with(connection, beginning)

    def consent_of(self, certificate_id: str) -> ReceiptId:
        """Return the consent whose erasure a certificate certifies.

        Raises:
            UnknownError: there is no certificate of this id here.
        """
        with self._store.read() as connection:
            receipt_id = receipt_of_certificate(connection, certificate_id)
        if receipt_id is None:
            raise UnknownError("there is no certificate of this id here; the id is in the certificate's file")
        return receipt_id

    def of_certificate(self, data: bytes) -> ReceiptId | None:
        """Return the consent whose erasure a certificate's file certifies; None if it is not such a file.

        Raises:
            TamperError: it is a certificate, but was changed, or is another site's.
            UnknownError: it is so old that the site has deleted its evidence of this erasure.
        """
        try:
            certificate = verify_certificate(data, self._store.verifier_key)
        except InputError:
            return None
        with self._store.read() as connection:
            found = receipt_of_certificate(connection, certificate.certificate_id)
            days = clocks_in(connection).shortest_of_all().evidence_days
        if found is None and certificate.ended_at <= self._store.now() - timedelta(days=days):
            raise UnknownError(
                f"the certificate is genuine, and the site deletes its evidence of an erasure after {days} days "
                "or later; there is nothing left here to search by. 'volens certificate verify' checks it as before"
            )
        if found is None:
            raise self._store.seals.damaged("this site signed a certificate that is not in its data")
        return found

    def prove(self, receipt_ids: Sequence[ReceiptId]) -> Absent:
        """Search for remains of the erased consents of one person: rows, secrets, and copies of sealed values.

        A copy is recognised by its salted hash, in every file and as a whole. A fragment is not found; the key to it
        does not exist any more. Cost: `volens.erase.box_search`.

        Raises:
            NoLiveConsentError: there is no consent of this person.
            RefusedError: a consent is in force, so nothing was erased; or the certificate is of an older version,
                without the sizes of the hashed values.
            ErasureIncompleteError: an erasure is not finished; or a row or a secret exists again.
            TamperError: a certificate is missing, or not the one that was signed.
        """
        ids = list(dict.fromkeys(receipt_ids))
        with self._store.read() as connection:
            known, states = stored_receipts(connection, ids), states_of(connection, ids)
            certificates, rows = certificates_of(connection, ids), rows_left(connection, ids)
        if not ids or len(known) < len(ids):
            raise NoLiveConsentError(
                "there is no consent of this person here: none was given, or the evidence of its end is deleted; "
                "there is nothing to prove"
            )
        if len(states) < len(ids):
            raise RefusedError(
                f"{len(ids) - len(states)} of {len(ids)} consents of this person are in force and not erased; "
                "withdraw first"
            )
        if any(state is not ErasureState.NOTIFIED for state in states.values()):
            raise ErasureIncompleteError(f"the erasure is not finished; run '{RESUME}'")
        if len(certificates) < len(ids):
            raise self._store.seals.damaged("a finished erasure has no certificate")
        if rows or self._store.keyring.wrapped_secrets(ids):
            raise ErasureIncompleteError(
                "a row or a secret of the erased consent exists again; find out how it was restored"
            )
        key = self._store.verifier_key
        statements = {one: _statement(certificate.token, key) for one, certificate in certificates.items()}
        if any(statement["version"] < _SEARCHABLE for statement in statements.values()):
            raise RefusedError(f"the certificate is older than version {_SEARCHABLE}; it cannot be searched by")
        search = BoxSearch([BoxHash.from_json(one) for its in statements.values() for one in its["existed"]])
        searched = search_places(search, self._installation)
        return Absent(
            [certificates[one].certificate_id for one in ids], search.counts(), searched.places, searched.hits
        )


def _statement(token: str, key: VerifierKey) -> Mapping[str, Any]:
    try:
        return verify_certificate(CERTIFICATE.to_file(token), key).statement
    except InputError:
        raise DamagedDataError("a stored certificate is damaged") from None
