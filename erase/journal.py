"""The erasure journal and the certificates in the data file, and what an erasure has to ask of it for many at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, final

from sqlalchemy import Connection, Table, Update, bindparam, func, insert, select, update

from volens.consent import ReceiptId, TamperError
from volens.store import Transaction
from volens.store.people import SealedReference, StoredReceipt, stored_receipts
from volens.store.people.references import references_of_all
from volens.store.schema import data_tables as tables
from volens.store.schema import external_id, kept_answer, second_factor


class ErasureState(StrEnum):
    """How far an erasure is (docs: DESIGN.md 8). `requested` and `stopped` are one commit."""

    STOPPED = "stopped"
    SHREDDED = "shredded"
    REMOVED = "removed"
    SCRUBBED = "scrubbed"
    VERIFIED = "verified"
    CERTIFIED = "certified"
    NOTIFIED = "notified"


@final
@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One erasure under way or done. `facts` holds counts and fingerprints only, nothing to be erased."""

    receipt_id: ReceiptId
    state: ErasureState
    facts: Mapping[str, Any]
    changed_at: datetime


@final
@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate as issued."""

    certificate_id: str
    token: str
    issued_at: datetime


@final
@dataclass(frozen=True, slots=True)
class Held:
    """What the data file holds of one consent: the receipt, and what the end of the consent destroys.

    Attributes:
        sealed_name: None where there is none, or the consent has ended.
        rows: rows of the consent by what they are, references and name left out; where there are any.
    """

    receipt: StoredReceipt
    references: Sequence[SealedReference]
    sealed_name: bytes | None
    rows: Mapping[str, int]


_COUNTED: Final[Mapping[str, Table]] = {
    "passages": tables.passage,
    "last interactions": tables.last_interaction,
    "leaving dates": tables.leaving,
    "commitments to personal secrets": tables.subject_secret,
    "badge records": tables.badge,
    "external ids": external_id,
    "kept answers": kept_answer,
    "second factors": second_factor,
}
_DIE_WITH_CONSENT: Final = (
    tables.live_consent,
    tables.subject_profile,
    tables.biometric_reference,
    tables.audit_opening,
    *_COUNTED.values(),
)


def held_by(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, Held]:
    """Return what there is of each consent that was ever given here; at most some thousand at once."""
    references: dict[ReceiptId, list[SealedReference]] = {}
    for reference in references_of_all(connection, receipt_ids):
        references.setdefault(reference.receipt.receipt_id, []).append(reference)
    profile = tables.subject_profile.c
    query = select(profile.receipt_id, profile.sealed_name).where(profile.receipt_id.in_(receipt_ids))
    names = {row.receipt_id: row.sealed_name for row in connection.execute(query)}
    counts = {what: _count(connection, table, receipt_ids) for what, table in _COUNTED.items()}
    return {
        one: Held(
            receipt,
            references.get(one, []),
            names.get(one),
            {what: found[one] for what, found in counts.items() if one in found},
        )
        for one, receipt in stored_receipts(connection, receipt_ids).items()
    }


def rows_left(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, int]:
    """Count the rows that should have died with their consents; only the consents that have any."""
    left: dict[ReceiptId, int] = {}
    for table in _DIE_WITH_CONSENT:
        for one, count in _count(connection, table, receipt_ids).items():
            left[one] = left.get(one, 0) + count
    return left


def open_entries(tx: Transaction, facts: Mapping[ReceiptId, Mapping[str, Any]]) -> None:
    """Begin erasures in the journal, in the transaction that stops the consents."""
    rows = [
        {"receipt_id": one, "state": ErasureState.STOPPED.value, "facts": _encode(its), "changed_at": tx.now}
        for one, its in facts.items()
    ]
    if rows:
        tx.connection.execute(insert(tables.erasure), rows)


def advance(tx: Transaction, before: ErasureState, patches: Mapping[ReceiptId, Mapping[str, Any]]) -> None:
    """Note that the step after `before` is done, and what it found out (merged into the facts, RFC 7396).

    Who is not in that state any more, because another process was faster, is left alone: nobody is set back.
    """
    _update(tx, _MERGE, before, patches)


def settle(tx: Transaction, before: ErasureState, kept: Mapping[ReceiptId, Mapping[str, Any]]) -> None:
    """Do the same, but keep of the facts only what is given."""
    _update(tx, _REPLACE, before, kept)


def entry(connection: Connection, receipt_id: ReceiptId) -> JournalEntry | None:
    """Return one erasure.

    Raises:
        TamperError: its entry is damaged.
    """
    return entries(connection, [receipt_id]).get(receipt_id)


def entries(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, JournalEntry]:
    """Return the erasures that there are of these consents.

    Raises:
        TamperError: an entry is damaged; ask for them one by one to learn which.
    """
    query = select(tables.erasure).where(tables.erasure.c.receipt_id.in_(receipt_ids))
    # All rows at once: an error that is kept would keep a half-read cursor open, and with it the write-ahead log.
    return {ReceiptId(row.receipt_id): _entry(row) for row in connection.execute(query).all()}


def states_of(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, ErasureState]:
    """Return how far the erasures are, whatever their facts say."""
    table = tables.erasure.c
    query = select(table.receipt_id, table.state).where(table.receipt_id.in_(bindparam("ids", expanding=True)))
    return {
        ReceiptId(row.receipt_id): ErasureState(row.state)
        for start in range(0, len(receipt_ids), _BATCH)
        for row in connection.execute(query, {"ids": receipt_ids[start : start + _BATCH]})
    }


def unfinished(connection: Connection) -> list[ReceiptId]:
    """Return the erasures that are not finished, oldest first."""
    query = (
        select(tables.erasure.c.receipt_id)
        .where(tables.erasure.c.state != ErasureState.NOTIFIED.value)
        .order_by(tables.erasure.c.changed_at, tables.erasure.c.receipt_id)
    )
    return [ReceiptId(row) for row in connection.scalars(query)]


def unfinished_since(connection: Connection) -> datetime | None:
    """Return when the unfinished erasure that waits longest last went on; None if all are finished."""
    query = select(func.min(tables.erasure.c.changed_at)).where(tables.erasure.c.state != ErasureState.NOTIFIED.value)
    since: datetime | None = connection.scalar(query)
    return since


def add_certificates(tx: Transaction, certificates: Mapping[ReceiptId, StoredCertificate]) -> None:
    """Keep certificates."""
    rows = [
        {
            "receipt_id": one,
            "certificate_id": certificate.certificate_id,
            "token": certificate.token,
            "issued_at": certificate.issued_at,
        }
        for one, certificate in certificates.items()
    ]
    if rows:
        tx.connection.execute(insert(tables.certificate), rows)


def certificate_of(connection: Connection, receipt_id: ReceiptId) -> StoredCertificate | None:
    """Return the certificate of an erased consent."""
    return certificates_of(connection, [receipt_id]).get(receipt_id)


def certificates_of(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, StoredCertificate]:
    """Return the certificates that there are of these consents."""
    query = select(tables.certificate).where(tables.certificate.c.receipt_id.in_(receipt_ids))
    return {
        ReceiptId(row.receipt_id): StoredCertificate(row.certificate_id, row.token, row.issued_at)
        for row in connection.execute(query)
    }


def receipt_of_certificate(connection: Connection, certificate_id: str) -> ReceiptId | None:
    """Return the consent whose erasure a certificate of this id certifies."""
    table = tables.certificate.c
    found = connection.scalar(select(table.receipt_id).where(table.certificate_id == certificate_id))
    return None if found is None else ReceiptId(found)


_BATCH: Final = 500
_AT = update(tables.erasure).where(
    tables.erasure.c.receipt_id == bindparam("of"), tables.erasure.c.state == bindparam("before")
)
_TO: Final[dict[str, Any]] = {"state": bindparam("after"), "changed_at": bindparam("now")}
_MERGE: Final = _AT.values(**_TO, facts=func.json_patch(tables.erasure.c.facts, bindparam("with")))
_REPLACE: Final = _AT.values(**_TO, facts=bindparam("with"))


def _update(
    tx: Transaction,
    statement: Update,
    before: ErasureState,
    values: Mapping[ReceiptId, Mapping[str, Any]],
) -> None:
    states = list(ErasureState)
    fixed = {"before": before.value, "after": states[states.index(before) + 1].value, "now": tx.now}
    rows = [fixed | {"of": one, "with": _encode(its)} for one, its in values.items()]
    if rows:
        tx.connection.execute(statement, rows)


def _count(connection: Connection, table: Table, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, int]:
    its = table.c.receipt_id
    query = select(its, func.count()).where(its.in_(receipt_ids)).group_by(its)
    return {ReceiptId(row[0]): int(row[1]) for row in connection.execute(query)}


def _entry(row: Any) -> JournalEntry:  # noqa: ANN401  a row of the journal
    try:
        facts = dict(json.loads(row.facts).items())
        return JournalEntry(ReceiptId(row.receipt_id), ErasureState(row.state), facts, row.changed_at)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise TamperError("integrity: an entry of the erasure journal is damaged; restore the data file") from None


def _encode(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, separators=(",", ":"), sort_keys=True)
