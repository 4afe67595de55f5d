"""Cohorts: erasures of many by order. What was ordered, who is meant, and the facts that the dossier tells of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, final

import rfc8785
from sqlalchemy import Connection, Row, insert, select, update

from volens.consent import ReceiptId, TamperError
from volens.erase.journal import ErasureState
from volens.store import Transaction
from volens.store.schema import data_tables as tables


@final
@dataclass(frozen=True, slots=True)
class Cohort:
    """One order that was begun.

    Attributes:
        cohort_id: that of its plan.
        plan: as signed.
        approvals: as signed.
        facts: counts and places in the log; nothing to be erased.
        finished_at: None while it is under way.
    """

    cohort_id: str
    plan: str
    approvals: Sequence[str]
    facts: Mapping[str, Any]
    begun_at: datetime
    finished_at: datetime | None


@final
@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An entry of the audit log that can still be opened."""

    index: int
    leaf: bytes
    details: Mapping[str, str | int]
    salt: bytes


def begin_cohort(
    tx: Transaction, cohort_id: str, plan: str, approvals: Sequence[str], members: Sequence[ReceiptId], facts: object
) -> None:
    """Note that an order is carried out, and on whom."""
    tx.connection.execute(
        insert(tables.cohort).values(
            cohort_id=cohort_id,
            plan=plan,
            approval=json.dumps(list(approvals)) if approvals else None,
            begun_at=tx.now,
            finished_at=None,
            facts=_encode(facts),
        )
    )
    if members:
        tx.connection.execute(
            insert(tables.cohort_member), [{"cohort_id": cohort_id, "receipt_id": member} for member in members]
        )


def update_cohort(tx: Transaction, cohort_id: str, facts: object, *, finished: bool) -> None:
    """Note how far an order is; once finished, the database refuses further notes."""
    tx.connection.execute(
        update(tables.cohort)
        .where(tables.cohort.c.cohort_id == cohort_id)
        .values(facts=_encode(facts), finished_at=tx.now if finished else None)
    )


def cohort_of(connection: Connection, cohort_id: str) -> Cohort | None:
    """Return an order that was begun."""
    row = connection.execute(select(tables.cohort).where(tables.cohort.c.cohort_id == cohort_id)).one_or_none()
    return None if row is None else _cohort(row)


def unfinished_cohorts(connection: Connection) -> list[Cohort]:
    """Return the orders that were begun and not finished, oldest first."""
    query = select(tables.cohort).where(tables.cohort.c.finished_at.is_(None)).order_by(tables.cohort.c.begun_at)
    return [_cohort(row) for row in connection.execute(query)]


def cohort_receipts(connection: Connection, cohort_id: str, *, unerased: bool = False) -> list[ReceiptId]:
    """Return the members of a cohort, or those of them whose erasure is not finished."""
    member = tables.cohort_member.c
    query = select(member.receipt_id).where(member.cohort_id == cohort_id).order_by(member.receipt_id)
    if unerased:
        done = select(tables.erasure.c.receipt_id).where(tables.erasure.c.state == ErasureState.NOTIFIED.value)
        query = query.where(member.receipt_id.not_in(done))
    return [ReceiptId(row) for row in connection.scalars(query)]


def cohort_certificates(connection: Connection, cohort_id: str) -> dict[str, str]:
    """Return the certificates of a cohort's members: id and token."""
    query = (
        select(tables.certificate.c.certificate_id, tables.certificate.c.token)
        .join(tables.cohort_member, tables.cohort_member.c.receipt_id == tables.certificate.c.receipt_id)
        .where(tables.cohort_member.c.cohort_id == cohort_id)
        .order_by(tables.certificate.c.certificate_id)
    )
    return {row.certificate_id: row.token for row in connection.execute(query)}


def receipts_with_open_requests(connection: Connection, of: Sequence[ReceiptId]) -> list[ReceiptId]:
    """Return the consents, of these, of people who asked for access or portability and were not answered yet.

    Who asked under one consent asked for all of theirs.
    """
    request, receipt = tables.access_request.c, tables.receipt.c
    asking = (
        select(receipt.subject_id)
        .join(tables.access_request, request.receipt_id == receipt.receipt_id)
        .where(request.answered_at.is_(None), request.kind.in_(("access", "portability")))
    )
    asked = set(connection.scalars(select(receipt.receipt_id).where(receipt.subject_id.in_(asking))))
    return [one for one in of if one in asked]


def logged_event(connection: Connection, index: int) -> LoggedEvent:
    """Return an entry of the log about the site itself; those about a person may have been closed.

    Raises:
        TamperError: it is not there, or cannot be opened.
    """
    event, opening = tables.audit_event.c, tables.audit_opening.c
    row = connection.execute(
        select(event.leaf, opening.details, opening.salt)
        .join(tables.audit_opening, opening.seq == event.seq)
        .where(event.seq == index)
    ).one_or_none()
    if row is None:
        raise TamperError(f"integrity: entry {index} of the audit log cannot be opened; restore the data file")
    return LoggedEvent(index, row.leaf, json.loads(row.details), row.salt)


def checkpoint_note(connection: Connection, size: int) -> str:
    """Return the checkpoint that was signed at a size.

    Raises:
        TamperError: there is none.
    """
    note = connection.scalar(select(tables.audit_checkpoint.c.note).where(tables.audit_checkpoint.c.size == size))
    if note is None:
        raise TamperError(f"integrity: the checkpoint of {size} entries is missing; restore the data file")
    return str(note)


def _encode(facts: object) -> str:
    return rfc8785.dumps(facts).decode("utf-8")  # type: ignore[arg-type]  # checked by the library itself


def _cohort(row: Row[tuple[object, ...]]) -> Cohort:
    approvals = [] if row.approval is None else json.loads(row.approval)
    return Cohort(row.cohort_id, row.plan, approvals, json.loads(row.facts), row.begun_at, row.finished_at)
