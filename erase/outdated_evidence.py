"""Outdated evidence: deletes what is left after a consent has ended, when its period is over. Part of the sweep.

Each table and its period are declared in `volens.store.schema.retention`; the days are those of the profile of the
person's jurisdiction. In this order, each in transactions of a few hundred people:

1. A profile that has become shorter counts: the end of the evidence is moved to the earlier of the two.
2. Evidence of consents: receipt, end, journal, certificate with its file, answers of recipients, messages, requests
   under it, and the orders that list it. What is still going on keeps it: an erasure, an open request, an order.
3. Requests that were answered, and proposals of orders that were never carried out.
4. Openings of log entries (`volens.store.log.outdated_openings`).
5. What the keyring remembers of such consents (`volens.store.log.forgotten_ends`).
6. Rows about staff (`volens.erase.outdated_staff`). Last, because it reads rows of the site that must verify.

A sweep that is killed leaves the rest to the next one: every step looks again for what is outdated. The log gets
numbers only. Certificates that people hold verify as before, without these rows.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, or_, select, update

from volens.consent import UnavailableError
from volens.consent.json_reader import read_json
from volens.erase.journal import ErasureState
from volens.erase.outdated_staff import delete_outdated_staff
from volens.store import Store
from volens.store.log import CERTIFICATES
from volens.store.log.forgotten_ends import forget_ends
from volens.store.log.outdated_openings import erase_openings_of, outdated_openings, referenced
from volens.store.log.remembrance import EVIDENCE_DELETED
from volens.store.promises.jurisdiction_clocks import JurisdictionClocks, clocks_in, jurisdictions_in_use
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

OPENINGS_ERASED: Final = "openings.erased"
_BATCH: Final = 250
_OPENINGS_BATCH: Final = 2000

_end, _receipt, _request = tables.consent_end.c, tables.receipt.c, tables.access_request.c
_cohort, _member, _proposal = tables.cohort.c, tables.cohort_member.c, tables.proposed_order.c


def delete_outdated_evidence(store: Store) -> dict[str, int]:
    """Delete everything whose period is over; return how many of what, without what there was none of.

    Raises:
        TamperError: 6: rows of the site or of a zone were changed by another program; the rest was done.
        UnavailableError: the disk refuses, or another process holds a lock.
    """
    deleted = Counter[str]()
    with store.read() as connection:
        codes, profiles = jurisdictions_in_use(connection), clocks_in(connection)
    now, clocks = store.now(), profiles.shortest(codes)
    # 1.
    for code in codes:
        _shorten(store, code, now - timedelta(days=profiles.of(code).evidence_days))
    # 2. and 3.
    for find, remove in (
        (_outdated_consents, _delete_consents),
        (_outdated_requests(codes, profiles), _delete_requests),
        (_orders_of_no_one(now - timedelta(days=clocks.evidence_days)), _delete_orders),
        (_plans_not_carried_out(now - timedelta(days=clocks.evidence_days)), _delete_orders),
    ):
        _in_batches(store, find, remove, deleted)
    # 4.
    log_before, evidence_before = (
        now - timedelta(days=one) for one in (clocks.log_openings_days, clocks.evidence_days)
    )
    deleted["openings"] += _erase_openings(store, log_before)
    # 5.
    with store.read() as connection:
        forget_ends(store.keyring, connection, now - timedelta(days=profiles.shortest_of_all().evidence_days))
    # 6.
    deleted += delete_outdated_staff(store, log_before, evidence_before)
    return {what: count for what, count in deleted.items() if count}


_Find = Callable[[datetime], Select[Any]]
_Remove = Callable[[Transaction, Sequence[str]], Mapping[str, int]]


def _in_batches(store: Store, find: _Find, remove: _Remove, deleted: Counter[str]) -> None:
    while True:
        with store.read() as connection:
            ids = list(connection.scalars(find(store.now()).limit(_BATCH)))
            files = _certificate_ids(connection, ids)
        if not ids:
            return
        _unlink(store, files)
        with store.write() as tx:
            # Another process may have been faster.
            still = [one for one in tx.connection.scalars(find(tx.now).limit(_BATCH)) if one in ids]
            deleted.update(remove(tx, still) if still else {})


def _shorten(store: Store, jurisdiction: str, ended_before: datetime) -> None:
    """Move the end of evidence to now where the present profile of a jurisdiction has a shorter period."""
    # Not a join: the database would begin with all receipts of the jurisdiction.
    its = select(_receipt.receipt_id).where(
        _receipt.receipt_id == _end.receipt_id, _receipt.jurisdiction == jurisdiction
    )
    too_long = select(_end.receipt_id, _end.evidence_until).where(_end.ended_at <= ended_before, its.exists())
    with store.read() as connection:
        ids = [row.receipt_id for row in connection.execute(too_long) if row.evidence_until > store.now()]
    for start in range(0, len(ids), _BATCH):
        with store.write() as tx:
            these = _end.receipt_id.in_(ids[start : start + _BATCH])
            tx.connection.execute(
                update(tables.consent_end).where(these, _end.evidence_until > tx.now).values(evidence_until=tx.now)
            )


def _outdated_consents(now: datetime) -> Select[Any]:
    erasure = tables.erasure.c
    asking = select(_request.request_id).where(_request.receipt_id == _end.receipt_id, _request.answered_at.is_(None))
    ordered = (
        select(_member.cohort_id)
        .join(tables.cohort, _cohort.cohort_id == _member.cohort_id)
        .where(_member.receipt_id == _end.receipt_id, _cohort.finished_at.is_(None))
    )
    return (
        select(_end.receipt_id)
        .join(tables.erasure, erasure.receipt_id == _end.receipt_id)
        .where(
            _end.evidence_until <= now,
            erasure.state == ErasureState.NOTIFIED.value,
            ~asking.exists(),
            ~ordered.exists(),
        )
        .order_by(_end.evidence_until, _end.receipt_id)
    )


def _delete_consents(tx: Transaction, ids: Sequence[str]) -> Mapping[str, int]:
    listing = select(_member.cohort_id).where(_member.receipt_id.in_(ids)).distinct()
    orders = list(tx.connection.scalars(listing))
    about = (tables.acknowledgement, tables.certificate, tables.erasure, tables.webhook_outbox, tables.access_request)
    counts = {
        "consents": len(ids),
        "certificates": _count(tx.connection, tables.certificate.c.receipt_id.in_(ids)),
        "requests": _count(tx.connection, _request.receipt_id.in_(ids)),
        "orders": len(orders),
    }
    # First, because the database refuses a deletion of evidence whose end is later than the newest entry.
    tx.log(EVIDENCE_DELETED, counts)
    _delete_order_rows(tx, orders)
    for table in (*about, tables.consent_end, tables.receipt):
        tx.connection.execute(delete(table).where(table.c.receipt_id.in_(ids)))
    return counts


def _outdated_requests(codes: Sequence[str], profiles: JurisdictionClocks) -> _Find:
    """Return what finds the requests that were answered so long ago; one about no consent has the shortest period."""
    days = {code: timedelta(days=profiles.of(code).requests_days) for code in codes}
    shortest = timedelta(days=profiles.shortest(codes).requests_days)

    def find(now: datetime) -> Select[Any]:
        of_people = [
            (_receipt.jurisdiction == code) & (_request.answered_at <= now - kept) for code, kept in days.items()
        ]
        of_none = _request.receipt_id.is_(None) & (_request.answered_at <= now - shortest)
        return (
            select(_request.request_id)
            .join(tables.receipt, _receipt.receipt_id == _request.receipt_id, isouter=True)
            .where(or_(of_none, *of_people))
            .order_by(_request.request_id)
        )

    return find


def _delete_requests(tx: Transaction, ids: Sequence[str]) -> Mapping[str, int]:
    tx.log(EVIDENCE_DELETED, {"requests": len(ids)})
    tx.connection.execute(delete(tables.access_request).where(_request.request_id.in_(ids)))
    return {"requests": len(ids)}


def _orders_of_no_one(before: datetime) -> _Find:
    """Return what finds the finished orders that list no consent; the others go with their members."""
    with_members = select(_member.cohort_id)
    found = select(_cohort.cohort_id).where(_cohort.finished_at <= before, _cohort.cohort_id.not_in(with_members))
    return lambda _now: found.order_by(_cohort.cohort_id)


def _plans_not_carried_out(before: datetime) -> _Find:
    """Return what finds the plans that were proposed and never carried out."""
    begun = select(_cohort.cohort_id)
    found = select(_proposal.cohort_id).where(_proposal.proposed_at <= before, _proposal.cohort_id.not_in(begun))
    return lambda _now: found.order_by(_proposal.cohort_id)


def _delete_orders(tx: Transaction, ids: Sequence[str]) -> Mapping[str, int]:
    tx.log(EVIDENCE_DELETED, {"orders": len(ids)})
    _delete_order_rows(tx, ids)
    return {"orders": len(ids)}


def _delete_order_rows(tx: Transaction, cohort_ids: Sequence[str]) -> None:
    """Delete orders as a whole: a dossier of some of their members would not be the one of the order."""
    for table in (tables.cohort_member, tables.cohort, tables.proposed_order):
        tx.connection.execute(delete(table).where(table.c.cohort_id.in_(cohort_ids)))
    tx.ending(Scope.ORDER, cohort_ids)
    tx.ending(Scope.PROPOSAL, cohort_ids)


def _erase_openings(store: Store, before: datetime) -> int:
    erased = 0
    while True:
        with store.read() as connection:
            kept = referenced(connection) | _of_orders(connection)
            entries = outdated_openings(connection, before, kept, _OPENINGS_BATCH)
        if not entries:
            return erased
        with store.write() as tx:
            count = erase_openings_of(tx.connection, entries)
            tx.log(OPENINGS_ERASED, {"openings": count})
        erased += count


def _of_orders(connection: Connection) -> set[int]:
    """Return the entries of the log that dossiers of orders prove."""
    found = set[int]()
    for text in connection.scalars(select(_cohort.facts)):
        facts = read_json(text)
        found.update(facts[name] for name in ("begun_index", "finished_index") if name in facts)
        found.update(one for name in ("operator_indexes", "stop_indexes") for one in facts.get(name, ()))
    return found


def _certificate_ids(connection: Connection, receipt_ids: Sequence[str]) -> list[str]:
    certificate = tables.certificate.c
    return list(connection.scalars(select(certificate.certificate_id).where(certificate.receipt_id.in_(receipt_ids))))


def _unlink(store: Store, certificate_ids: Sequence[str]) -> None:
    """Delete the files of certificates, before the rows: a file without a row would be taken for a lost erasure."""
    for one in certificate_ids:
        try:
            with suppress(FileNotFoundError):
                (store.folder / CERTIFICATES / f"{one}.json").unlink()
        except OSError as error:
            raise UnavailableError(
                f"cannot delete a certificate in {store.folder / CERTIFICATES}: {error.strerror}; check the disk and "
                "the rights, then sweep again"
            ) from None


def _count(connection: Connection, condition: Any) -> int:  # noqa: ANN401  a condition of SQLAlchemy
    return int(connection.scalar(select(func.count()).where(condition)) or 0)
