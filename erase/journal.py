"""Erasure journal: the state of each erasure, its certificate, and what the data file held of the consent."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, final

from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from volens.consent import ReceiptId
from volens.consent.errors import DamagedDataError
from volens.consent.json_reader import read_json
from volens.consent.lease import LeaseHolding
from volens.store import Transaction
from volens.store.batches import batches
from volens.store.people import SealedReference, StoredReceipt, stored_receipts
from volens.store.people.references import sealed_references
from volens.store.schema import data_tables as tables
from volens.store.schema.personal_tables import PERSONAL


class ErasureState(StrEnum):
    """How far an erasure is. Its journal entry is opened in the commit that stops the consent."""

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
    """One erasure, running or finished. `facts` holds counts and fingerprints only, nothing that must be erased."""

    state: ErasureState
    facts: Mapping[str, Any]


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
        rows: how many rows each personal table has, by the name in the certificate; only where there are any.
        sealed: every sealed value, with its name: searched for afterwards, and recognised by the certificate.
        found_by: every keyed hash of a guessable value, with its name: searched for in memory only.
    """

    receipt: StoredReceipt
    references: Sequence[SealedReference]
    rows: dict[str, int]
    sealed: list[tuple[str, bytes]] = field(repr=False)
    found_by: list[tuple[str, bytes]] = field(repr=False)

    def without(self, counted_as: Collection[str]) -> "Held":
        """Return the same without the rows of some tables: a renewed consent takes them over as they are."""
        kept = [one for one in PERSONAL if one.counted_as in counted_as]
        values = {what for one in kept for what in (*one.sealed.values(), *one.found_by.values())}
        return replace(
            self,
            rows={name: count for name, count in self.rows.items() if name not in counted_as},
            sealed=[(what, value) for what, value in self.sealed if what not in values],
            found_by=[(what, value) for what, value in self.found_by if what not in values],
        )


def held_by(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, Held]:
    """Return what the data file holds of each consent that was ever given here; for some thousand at most."""
    references: dict[ReceiptId, list[SealedReference]] = {}
    for reference in sealed_references(connection, receipt_ids):
        references.setdefault(reference.receipt.receipt_id, []).append(reference)
    held = {
        one: Held(receipt, references.get(one, []), dict[str, int](), [], [])
        for one, receipt in stored_receipts(connection, receipt_ids).items()
    }
    for personal in PERSONAL:
        for one, count in _counts(connection, personal.table, list(held)).items():
            held[one].rows[personal.counted_as] = count
        names = {**personal.sealed, **personal.found_by}
        if not names:
            continue
        columns = [personal.table.c[name] for name in ("receipt_id", *names)]
        query = select(*columns).where(personal.table.c.receipt_id.in_(list(held)))
        for row in connection.execute(query).mappings():
            for name, what in names.items():
                its = held[ReceiptId(row["receipt_id"])]
                kept = its.sealed if name in personal.sealed else its.found_by
                kept += [(what, bytes(row[name]))] if row[name] else []
    return held


def rows_left(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, int]:
    """Count the rows that should have been deleted with their consents; only the consents that have any."""
    left: dict[ReceiptId, int] = {}
    for table in (tables.live_consent, tables.audit_opening, tables.shard_opening, *(one.table for one in PERSONAL)):
        for one, count in _counts(connection, table, receipt_ids).items():
            left[one] = left.get(one, 0) + count
    return left


def open_entries(tx: Transaction, facts: Mapping[ReceiptId, Mapping[str, Any]]) -> None:
    """Open the journal entries of erasures, in the transaction that stops the consents."""
    rows = [
        {"receipt_id": one, "state": ErasureState.STOPPED.value, "facts": _encode(its), "changed_at": tx.now}
        for one, its in facts.items()
    ]
    if rows:
        tx.connection.execute(insert(tables.erasure), rows)


def advance(tx: Transaction, before: ErasureState, patches: Mapping[ReceiptId, Mapping[str, Any]]) -> None:
    """Record that the step after `before` is done, and merge its findings into the facts (JSON merge patch, RFC 7396).

    An erasure that is no longer in that state, because another process was faster, is not changed.

    Raises:
        TamperError: an entry is damaged.
    """
    for ids in batches(list(patches)):
        found = entries(tx.connection, ids)
        reached = {one: its.facts for one, its in found.items() if its.state is before}
        settle(tx, before, {one: _merged(facts, patches[one]) for one, facts in reached.items()})


def settle(tx: Transaction, before: ErasureState, kept: Mapping[ReceiptId, Mapping[str, Any]]) -> None:
    """Record that the step after `before` is done, and replace the facts."""
    states = list(ErasureState)
    fixed = {"before": before.value, "after": states[states.index(before) + 1].value, "now": tx.now}
    rows = [fixed | {"of": one, "with": _encode(its)} for one, its in kept.items()]
    if rows:
        tx.connection.execute(_UPDATE, rows)


def entries(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, JournalEntry]:
    """Return the journal entries of these consents, as far as there are any.

    Raises:
        TamperError: an entry is damaged; read them one by one to learn which.
    """
    query = select(tables.erasure).where(tables.erasure.c.receipt_id.in_(receipt_ids))
    # All rows at once: a stored exception would hold a half-read cursor open, and the write-ahead log could not be cut.
    return {ReceiptId(row.receipt_id): _entry(row) for row in connection.execute(query).all()}


def lease_holders(connection: Connection, receipt_id: ReceiptId) -> list[LeaseHolding]:
    """Return the doors that held a lease when a consent was stopped, as far as was known when it was certified.

    Raises:
        TamperError: the entry is damaged.
    """
    found = entries(connection, [receipt_id]).get(receipt_id)
    holders = () if found is None else found.facts.get("leases", {}).get("holders", ())
    return [LeaseHolding.from_json(one) for one in holders]


def states_of(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, ErasureState]:
    """Return the states of the erasures, without reading their facts."""
    table = tables.erasure.c
    query = select(table.receipt_id, table.state).where(table.receipt_id.in_(bindparam("ids", expanding=True)))
    return {
        ReceiptId(row.receipt_id): ErasureState(row.state)
        for ids in batches(receipt_ids)
        for row in connection.execute(query, {"ids": ids})
    }


def unfinished(connection: Connection) -> list[ReceiptId]:
    """Return the erasures that are not finished, oldest first."""
    table = tables.erasure.c
    query = select(table.receipt_id).where(table.state != ErasureState.NOTIFIED.value)
    return [ReceiptId(row) for row in connection.scalars(query.order_by(table.changed_at, table.receipt_id))]


def unfinished_since(connection: Connection) -> datetime | None:
    """Return when the unfinished erasure that has waited longest last made progress; None if all are finished."""
    query = select(func.min(tables.erasure.c.changed_at)).where(tables.erasure.c.state != ErasureState.NOTIFIED.value)
    since: datetime | None = connection.scalar(query)
    return since


def add_certificates(tx: Transaction, certificates: Mapping[ReceiptId, StoredCertificate]) -> None:
    """Store certificates."""
    rows = [{"receipt_id": one, **asdict(certificate)} for one, certificate in certificates.items()]
    if rows:
        tx.connection.execute(insert(tables.certificate), rows)


def certificates_of(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, StoredCertificate]:
    """Return the certificates of these consents, as far as they were issued."""
    query = select(tables.certificate).where(tables.certificate.c.receipt_id.in_(receipt_ids))
    return {ReceiptId(one): StoredCertificate(*its) for one, *its in connection.execute(query)}


def receipt_of_certificate(connection: Connection, certificate_id: str) -> ReceiptId | None:
    """Return the consent whose erasure the certificate with this id certifies."""
    table = tables.certificate.c
    found = connection.scalar(select(table.receipt_id).where(table.certificate_id == certificate_id))
    return None if found is None else ReceiptId(found)


_UPDATE: Final = (
    update(tables.erasure)
    .where(tables.erasure.c.receipt_id == bindparam("of"), tables.erasure.c.state == bindparam("before"))
    .values(state=bindparam("after"), changed_at=bindparam("now"), facts=bindparam("with"))
)


def _merged(facts: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts with a patch: objects are merged, any other value replaces the one before."""
    both = {
        name: _merged(facts[name], new)
        for name, new in patch.items()
        if isinstance(new, dict) and isinstance(facts.get(name), dict)
    }
    return {**facts, **patch, **both}


def _counts(connection: Connection, table: Table, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, int]:
    its = table.c.receipt_id
    query = select(its, func.count()).where(its.in_(receipt_ids)).group_by(its)
    return {ReceiptId(one): int(count) for one, count in connection.execute(query)}


def _entry(row: Any) -> JournalEntry:  # noqa: ANN401  a row of the journal
    try:
        facts = dict(read_json(row.facts).items())
        return JournalEntry(ErasureState(row.state), facts)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise DamagedDataError("an entry of the erasure journal is damaged") from None


def _encode(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, separators=(",", ":"), sort_keys=True)
