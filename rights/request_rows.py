"""Rows of data subject requests (GDPR 15 to 21) and their deadlines: one month, extended once by two (12(3)).

A request refers to a receipt. If the person was not found, it refers to nothing: it is only a number and a date. No
free text is stored; the reason of an extension and the outcome are one of a few words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, final

from sqlalchemy import Connection, Row, insert, select, update

from volens.consent import ReceiptId, RefusedError, UnknownError, format_time
from volens.consent.times import months_later
from volens.consent.typed_text import parse_code
from volens.store import Transaction
from volens.store.schema import data_tables as tables

DUE_AFTER_MONTHS: Final = 1
EXTENDED_TO_MONTHS: Final = 3
_ID_BYTES: Final = 16
_request = tables.access_request.c


class RequestKind(StrEnum):
    """The right that the person exercises."""

    ACCESS = "access"
    PORTABILITY = "portability"
    ERASURE = "erasure"
    RECTIFICATION = "rectification"
    OBJECTION = "objection"

    @property
    def needs_file(self) -> bool:
        """Whether the answer is an exported file."""
        return self in {RequestKind.ACCESS, RequestKind.PORTABILITY}


class ExtensionReason(StrEnum):
    """Why a request is extended; the law allows these two reasons."""

    COMPLEX = "complex"
    MANY = "many"


class Outcome(StrEnum):
    """How a request was closed."""

    ANSWERED = "answered"
    NOTHING_HELD = "nothing held"
    CARRIED_OUT = "carried out"
    REFUSED = "refused"
    TAKEN_BACK = "taken back"


@final
@dataclass(frozen=True, slots=True)
class PersonsRequest:
    """A data subject request and its state.

    Attributes:
        receipt_id: one consent of the person; None if the person was not found.
        due_at: the last moment to answer.
        extended_for: None if it was not extended.
        closed_at: None while it is open.
    """

    request_id: str
    kind: RequestKind
    receipt_id: ReceiptId | None
    received_at: datetime
    due_at: datetime
    extended_for: ExtensionReason | None
    closed_at: datetime | None
    outcome: Outcome | None

    def overdue(self, now: datetime) -> bool:
        """Return whether it is open and past its due date."""
        return self.closed_at is None and self.due_at < now


def open_request(tx: Transaction, kind: RequestKind, receipt_id: ReceiptId | None) -> PersonsRequest:
    """Open a request; its month begins now."""
    request_id = tx.random(_ID_BYTES).hex()
    due_at = months_later(tx.now, DUE_AFTER_MONTHS)
    tx.connection.execute(
        insert(tables.access_request).values(
            request_id=request_id, kind=kind.value, receipt_id=receipt_id, received_at=tx.now, due_at=due_at
        )
    )
    # The log does not say whose request it is: the entry belongs to no consent, and stays readable.
    tx.log("request.opened", {"request_id": request_id, "kind": kind.value, "due_at": format_time(due_at)})
    return request_of(tx.connection, request_id)


def extend_request(tx: Transaction, request_id: str, reason: ExtensionReason) -> PersonsRequest:
    """Extend a request by two months. The desk must inform the person within the first month.

    Raises:
        InputError: there is no such request.
        RefusedError: it is closed, was extended before, or the first month is over.
    """
    request = _open(tx, request_id)
    if request.extended_for is not None:
        raise RefusedError("this request was extended already, which is allowed once; answer it")
    if tx.now > request.due_at:
        raise RefusedError("the first month is over, so the request can no longer be extended; answer it now")
    due_at = months_later(request.received_at, EXTENDED_TO_MONTHS)
    request_id = request.request_id
    _update(tx, request_id, due_at=due_at, extended_at=tx.now, extended_for=reason)
    tx.log("request.extended", {"request_id": request_id, "reason": reason.value, "due_at": format_time(due_at)})
    return request_of(tx.connection, request_id)


def close_request(tx: Transaction, request_id: str, outcome: Outcome) -> PersonsRequest:
    """Close a request with an outcome.

    Raises:
        InputError: there is no such request.
        RefusedError: it is closed already.
    """
    request = _open(tx, request_id)
    request_id = request.request_id
    _update(tx, request_id, answered_at=tx.now, outcome=outcome)
    late = int(request.overdue(tx.now))
    tx.log("request.closed", {"request_id": request_id, "outcome": outcome.value, "late": late})
    return request_of(tx.connection, request_id)


def request_of(connection: Connection, request_id: str) -> PersonsRequest:
    """Return a request by its number, typed in any case and in groups.

    Raises:
        InputError: there is no request of this number.
    """
    number = parse_code(request_id).lower()
    row = connection.execute(select(tables.access_request).where(_request.request_id == number)).one_or_none()
    if row is None:
        raise UnknownError("there is no request of this number; 'volens request list' shows those that are open")
    return _stored(row)


def list_requests(connection: Connection, *, closed: bool = False) -> list[PersonsRequest]:
    """Return the open requests in the order in which they are due; with `closed`, the closed ones too."""
    query = select(tables.access_request).order_by(_request.due_at, _request.request_id)
    rows = connection.execute(query if closed else query.where(_request.answered_at.is_(None)))
    return [_stored(row) for row in rows]


def open_requests_of(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> list[PersonsRequest]:
    """Return the open access and portability requests of the people who gave these consents, under any consent."""
    receipt = tables.receipt.c
    wanted = set(receipt_ids)
    asking = (
        select(receipt.subject_id)
        .join(tables.access_request, _request.receipt_id == receipt.receipt_id)
        .where(_request.answered_at.is_(None))
    )
    rows = connection.execute(select(receipt.receipt_id, receipt.subject_id).where(receipt.subject_id.in_(asking)))
    mine = {row.receipt_id: row.subject_id for row in rows}
    people = {subject for one, subject in mine.items() if one in wanted}
    return [
        one
        for one in list_requests(connection)
        if one.kind.needs_file and one.receipt_id is not None and mine[one.receipt_id] in people
    ]


def _open(tx: Transaction, request_id: str) -> PersonsRequest:
    request = request_of(tx.connection, request_id)
    if request.closed_at is not None:
        raise RefusedError("this request is closed already; nothing was changed")
    return request


def _update(tx: Transaction, request_id: str, **values: object) -> None:
    tx.connection.execute(update(tables.access_request).where(_request.request_id == request_id).values(**values))


def _stored(row: Row[*tuple[Any, ...]]) -> PersonsRequest:
    return PersonsRequest(
        row.request_id,
        RequestKind(row.kind),
        None if row.receipt_id is None else ReceiptId(row.receipt_id),
        row.received_at,
        row.due_at,
        None if row.extended_for is None else ExtensionReason(row.extended_for),
        row.answered_at,
        None if row.outcome is None else Outcome(row.outcome),
    )
