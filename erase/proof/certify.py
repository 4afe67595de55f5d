"""Steps 6 and 7 of an erasure, for many at once: certificates are signed, logged and kept, and their files written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from volens.audit import inclusion_proof, leaf_bytes
from volens.consent import Purpose, ReceiptId, TamperError, UnavailableError, format_time
from volens.erase.journal import (
    ErasureState,
    StoredCertificate,
    add_certificates,
    advance,
    certificates_of,
    entries,
    settle,
)
from volens.erase.proof.certificate import (
    CERTIFICATE_TYPE,
    EVENT,
    VERSION,
    LogEntry,
    certificate_file,
    certificate_payload,
    log_details,
)
from volens.store import Store, Transaction, rotation_due
from volens.store.files import write_private_files
from volens.store.log import node_reader
from volens.store.programs import MessageKind, Recipient, acknowledgements_of, tell
from volens.store.programs.recipients import recipients_to_tell

CERTIFICATES: Final = "certificates"
NOT_PROMISED: Final = (
    "blocks that a solid-state drive has set aside, memory of other running processes, and copies of the keyring made "
    "before the erasure; a badge or secret that the person carries stays with the person, and opens nothing any more"
)
_METHOD: Final = (
    "rows deleted and zeroed, write-ahead logs cut, the only key destroyed, the gallery's row overwritten and zeroed"
)
_AFTERWARDS: Final = (
    "a copy of the keyring made before the erasure opens until this epoch's store key is destroyed by a rotation"
)
_TOGETHER: Final = 500
_KEPT: Final = ("zone", "reason", "processes")
"""What the journal goes on knowing of an erasure that was certified."""

_Facts = Mapping[ReceiptId, Mapping[str, Any]]


@final
@dataclass(frozen=True, slots=True)
class Erased:
    """A finished erasure."""

    certificate_id: str
    certificate_path: Path
    zone: str
    reason: str


def certify(store: Store, facts: _Facts) -> None:
    """Issue the certificates of some hundred verified erasures, put them into the log, tell of them; one transaction.

    Who has one already, because another process resumed the same erasure and was faster, gets no second.
    """
    with store.write() as tx:
        issued = certificates_of(tx.connection, list(facts))
        kept = {one: {name: its[name] for name in _KEPT if name in its} for one, its in facts.items()}
        told = recipients_to_tell(tx.connection, {one: Purpose(its["zone"]) for one, its in facts.items()})
        statements = {one: _statement(store, tx, its, told[one]) for one, its in facts.items() if one not in issued}
        if statements:
            logged = tx.log_all(EVENT, [log_details(statement) for statement in statements.values()])
            head, note = tx.sign_log()
            read = _Remembering(tx)
            certificates: dict[ReceiptId, StoredCertificate] = {}
            for (one, statement), (index, event) in zip(statements.items(), logged, strict=True):
                proof = inclusion_proof(index, head.size, read)
                place = LogEntry(leaf_bytes(event), event.details, event.salt, index, proof, note)
                token = store.keyring.sign(certificate_payload(statement, place), CERTIFICATE_TYPE)
                certificates[one] = StoredCertificate(statement["certificate_id"], token, tx.now)
            add_certificates(tx, certificates)
            told_of = ("reason", "erased_at", "certificate_id")
            erased = {one: {name: its[name] for name in told_of} for one, its in statements.items()}
            tell(tx, MessageKind.SUBJECT_ERASED, erased)
        settle(tx, ErasureState.VERIFIED, kept)


def publish(store: Store, home: Path, facts: _Facts) -> None:
    """Write the files of some hundred certificates.

    Raises:
        UnavailableError: the disk refuses.
        TamperError: one that the journal knows of is not there.
    """
    with store.read() as connection:
        certificates = certificates_of(connection, list(facts))
    if len(certificates) < len(facts):
        raise TamperError("integrity: the journal knows of a certificate that is not there; restore the data file")
    _write(home, [(one, ()) for one in certificates.values()])
    with store.write() as tx:
        advance(tx, ErasureState.CERTIFIED, {one: {} for one in facts})


def published(store: Store, home: Path, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, Erased]:
    """Return what finished erasures came to; a certificate's file that was lost is written again.

    Raises:
        UnavailableError: the disk refuses.
        TamperError: there is no certificate of one.
    """
    erased: dict[ReceiptId, Erased] = {}
    for start in range(0, len(receipt_ids), _TOGETHER):
        ids = receipt_ids[start : start + _TOGETHER]
        with store.read() as connection:
            certificates, journal = certificates_of(connection, ids), entries(connection, ids)
            answers = acknowledgements_of(connection, ids)
        for one in ids:
            if one not in certificates:
                raise TamperError("integrity: a finished erasure has no certificate; restore the data file")
            facts = journal[one].facts
            path = certificate_path(home, certificates[one])
            if not path.exists():
                _write(home, [(certificates[one], answers.get(one, ()))])
            erased[one] = Erased(certificates[one].certificate_id, path, facts["zone"], facts["reason"])
    return erased


def certificate_path(home: Path, certificate: StoredCertificate) -> Path:
    """Return where a certificate's file is."""
    return home / CERTIFICATES / f"{certificate.certificate_id}.json"


@final
class _Remembering:
    """A reader of the log's nodes that asks for each only once: proofs of neighbours share most of them."""

    def __init__(self, tx: Transaction) -> None:
        self._read = node_reader(tx.connection)
        self._known: dict[tuple[int, int], bytes] = {}

    def __call__(self, level: int, index: int, /) -> bytes:
        if (level, index) not in self._known:
            self._known[level, index] = self._read(level, index)
        return self._known[level, index]


def _statement(store: Store, tx: Transaction, facts: Mapping[str, Any], told: Sequence[Recipient]) -> dict[str, Any]:
    removed = facts["destroyed"].get("gallery sketch", 0)
    return {
        "version": VERSION,
        "certificate_id": tx.random(16).hex(),
        "site_id": store.site.controller.site_id,
        "controller": store.site.controller.name,
        "receipt_sha256": facts["receipt_sha256"],
        "zone": facts["zone"],
        "reason": facts["reason"],
        "ended_at": facts["ended_at"],
        "erased_at": facts["erased_at"],
        "issued_at": format_time(tx.now),
        "times": facts["times"],
        "existed": facts["existed"],
        "destroyed": facts["destroyed"],
        "touched": [
            {"what": "data file", "how": "rows deleted and zeroed, write-ahead log cut"},
            {"what": "keyring", "how": "grant secret deleted and zeroed, write-ahead log cut"},
            {"what": "galleries of the process that ended the consent", "how": f"{removed} sketches overwritten"},
            {"what": "galleries of other processes", "how": "cannot match; sketches go when they next follow the log"},
        ],
        "method": _METHOD,
        "search_before": facts["search_before"],
        "search_after": facts["search_after"],
        "searched": facts["searched"],
        "searched_in": facts["files"],
        "store_key": {
            "epoch": store.keyring.epoch,
            "destroyed_by": format_time(rotation_due(store)),
            "afterwards": _AFTERWARDS,
        },
        "not_promised": NOT_PROMISED,
        "recipients": [{"recipient_id": one.recipient_id, "name": one.name} for one in told],
    }


def _write(home: Path, certificates: Iterable[tuple[StoredCertificate, Sequence[str]]]) -> None:
    folder = home / CERTIFICATES
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot make {folder}: {error.strerror}; check the disk and the rights") from None
    write_private_files(
        folder,
        {certificate_path(home, one).name: certificate_file(one.token, answers) for one, answers in certificates},
    )
