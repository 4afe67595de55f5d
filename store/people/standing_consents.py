"""Consents in force, as they are told to the person or the operator: zone, since when, until when, enrolled or not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import final

from sqlalchemy import ColumnElement, Connection, func, select

from volens.consent import DataSubjectId, Purpose, ReceiptId, TamperError
from volens.store.people.consents import stored_receipts
from volens.store.schema import data_tables as tables

_live = tables.live_consent.c


@final
@dataclass(frozen=True, slots=True)
class StandingConsent:
    """A consent in force.

    Attributes:
        given_at: when the person signed it; None if the stored receipt is damaged.
        ends_at: when it ends by itself, unless inactivity ends it earlier.
        enrolled: whether a biometric reference or a badge belongs to it.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    zone: Purpose
    given_at: datetime | None
    ends_at: datetime
    enrolled: bool


def standing_of_person(connection: Connection, subject_id: DataSubjectId, now: datetime) -> list[StandingConsent]:
    """Return the consents in force that one key has signed, by zone.

    Consents that the same human being gave with another key are another data subject's to Volens.
    """
    return _standing(connection, (_live.subject_id == subject_id) & (_live.expires_at > now))


def standing_among(connection: Connection, receipt_ids: Iterable[ReceiptId]) -> list[StandingConsent]:
    """Return those of the consents that are in force, or expired and not swept yet, by zone."""
    return _standing(connection, _live.receipt_id.in_(list(receipt_ids)))


def _standing(connection: Connection, which: ColumnElement[bool]) -> list[StandingConsent]:
    rows = connection.execute(
        select(_live.receipt_id, _live.subject_id, _live.purpose, _live.expires_at)
        .where(which)
        .order_by(_live.purpose, _live.receipt_id)
    ).all()
    given = _given_at(connection, [ReceiptId(row.receipt_id) for row in rows])
    enrolled = _enrolled(connection, [row.receipt_id for row in rows])
    return [
        StandingConsent(
            ReceiptId(row.receipt_id),
            DataSubjectId(row.subject_id),
            Purpose(row.purpose),
            given.get(row.receipt_id),
            row.expires_at,
            row.receipt_id in enrolled,
        )
        for row in rows
    ]


def _given_at(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for receipt_id, stored in stored_receipts(connection, receipt_ids).items():
        try:
            found[receipt_id] = stored.verified().claims.issued_at
        except TamperError:
            continue  # the person must be able to withdraw nevertheless
    return found


def _enrolled(connection: Connection, receipt_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for table in (tables.biometric_reference, tables.badge):
        of = table.c.receipt_id
        found.update(connection.scalars(select(of).where(of.in_(receipt_ids)).group_by(of).having(func.count() > 0)))
    return found
