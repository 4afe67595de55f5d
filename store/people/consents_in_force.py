"""Which consents are in force, and how many; and how many receipts there are."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select

from volens.consent import DataSubjectId, Purpose, ReceiptId
from volens.store.people.consents import StoredReceipt
from volens.store.schema import data_tables as tables


def live_receipts(connection: Connection, *, expired_at: datetime | None = None) -> list[ReceiptId]:
    """Return the consents in force; with `expired_at` only those whose term has ended by then."""
    live = tables.live_consent.c
    query = select(live.receipt_id).order_by(live.expires_at, live.receipt_id)
    if expired_at is not None:
        query = query.where(live.expires_at <= expired_at)
    return [ReceiptId(row) for row in connection.scalars(query)]


def live_receipts_of(
    connection: Connection, subject_ids: Iterable[DataSubjectId], where: Iterable[Purpose]
) -> list[ReceiptId]:
    """Return the consents in force of some people in some zones."""
    live = tables.live_consent.c
    query = select(live.receipt_id).where(live.subject_id.in_(list(subject_ids)), live.purpose.in_(list(where)))
    return [ReceiptId(row) for row in connection.scalars(query.order_by(live.receipt_id))]


def receipts_in_force(connection: Connection, purpose: Purpose) -> list[StoredReceipt]:
    """Return the receipts of the consents in force in a zone."""
    live, its = tables.live_consent, tables.receipt.c
    query = select(its.receipt_id, its.subject_id, its.purpose, its.subject_key, its.token)
    query = query.join_from(live, tables.receipt, live.c.receipt_id == its.receipt_id).where(live.c.purpose == purpose)
    return [StoredReceipt(*row) for row in connection.execute(query)]


def count_receipts(connection: Connection) -> int:
    """Return the number of receipts, in force or not."""
    return int(connection.scalar(select(func.count()).select_from(tables.receipt)) or 0)


def count_live(connection: Connection, purpose: Purpose | None = None) -> int:
    """Return the number of consents in force, for a zone or for all."""
    query = select(func.count()).select_from(tables.live_consent)
    if purpose is not None:
        query = query.where(tables.live_consent.c.purpose == purpose)
    return int(connection.scalar(query) or 0)
