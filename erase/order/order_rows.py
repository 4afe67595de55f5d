"""Rows of cohorts (erasures by order): the plan, its members, and the facts that go into the dossier."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, final

import rfc8785
from sqlalchemy import Connection, Row, insert, select, update

from volens.audit import LogEntry, NodeReader, inclusion_proof
from volens.consent import ReceiptId
from volens.consent.errors import DamagedDataError
from volens.consent.json_reader import read_json
from volens.erase.journal import ErasureState
from volens.store import Transaction, seals_of
from volens.store.schema import Scope
from volens.store.schema import data_tables as tables


@final
@dataclass(frozen=True, slots=True)
class Cohort:
    """One order that was begun.

    Attributes:
        plan: as signed, and so are the approvals.
        facts: counts and positions in the log; no personal data.
        finished_at: None while it is in progress.
    """

    cohort_id: str
    plan: str
    approvals: Sequence[str]
    facts: Mapping[str, Any]
    begun_at: datetime
    finished_at: datetime | None


def begin_cohort(
    tx: Transaction, cohort_id: str, plan: str, approvals: Sequence[str], members: Sequence[ReceiptId], facts: object
) -> None:
    """Record that an order was begun, and its members."""
    with tx.changing(Scope.ORDER, [cohort_id]):
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
    """Record the progress of an order. Once it is finished, the database refuses further changes."""
    with tx.changing(Scope.ORDER, [cohort_id]):
        tx.connection.execute(
            update(tables.cohort)
            .where(tables.cohort.c.cohort_id == cohort_id)
            .values(facts=_encode(facts), finished_at=tx.now if finished else None)
        )


def cohort_of(connection: Connection, cohort_id: str) -> Cohort | None:
    """Return an order that was begun; None if there is none of this id.

    Raises:
        TamperError: its rows or its members were changed by another program.
    """
    seals_of(connection).verified(connection, Scope.ORDER, [cohort_id])
    row = connection.execute(select(tables.cohort).where(tables.cohort.c.cohort_id == cohort_id)).one_or_none()
    return None if row is None else _cohort(row)


def unfinished_cohorts(connection: Connection) -> list[Cohort]:
    """Return the orders that were begun and not finished, oldest first.

    Not checked: their rows; `cohort_of` verifies those of the one that is carried out.
    """
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
    """Return those of the consents whose person has an open request for access or portability.

    A request under one consent covers all consents of that person.
    """
    request, receipt = tables.access_request.c, tables.receipt.c
    asking = (
        select(receipt.subject_id)
        .join(tables.access_request, request.receipt_id == receipt.receipt_id)
        .where(request.answered_at.is_(None), request.kind.in_(("access", "portability")))
    )
    requested = set(connection.scalars(select(receipt.receipt_id).where(receipt.subject_id.in_(asking))))
    return [one for one in of if one in requested]


def logged_entry(connection: Connection, index: int, size: int, read: NodeReader) -> LogEntry:
    """Return an entry about the site itself, proven in the log of `size`; openings about people may be erased.

    Raises:
        TamperError: the entry or its opening is missing.
    """
    event, opening = tables.audit_event.c, tables.audit_opening.c
    row = connection.execute(
        select(event.leaf, opening.details, opening.salt)
        .join(tables.audit_opening, opening.seq == event.seq)
        .where(event.seq == index)
    ).one_or_none()
    if row is None:
        raise DamagedDataError(f"entry {index} of the audit log cannot be opened")
    return LogEntry(row.leaf, read_json(row.details), row.salt, index, inclusion_proof(index, size, read))


def checkpoint_note(connection: Connection, size: int) -> str:
    """Return the checkpoint that was signed at a size of the log.

    Raises:
        TamperError: it is missing.
    """
    note = connection.scalar(select(tables.audit_checkpoint.c.note).where(tables.audit_checkpoint.c.size == size))
    if note is None:
        raise DamagedDataError(f"the checkpoint of {size} entries is missing")
    return str(note)


def _encode(facts: object) -> str:
    return rfc8785.dumps(facts).decode("utf-8")  # type: ignore[arg-type]  # checked by the library itself


def _cohort(row: Row[tuple[object, ...]]) -> Cohort:
    approvals = [] if row.approval is None else read_json(row.approval)
    return Cohort(row.cohort_id, row.plan, approvals, read_json(row.facts), row.begun_at, row.finished_at)
