"""The expiry clocks of the consents in force: the rows they are computed from, and the events that set them.

If an event ends a consent early, `live_consent.expires_at` has the new end from that commit on, so that matching stops
on time without a sweep. The reason is not stored with it: it is computed from the facts again when the consent ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, final

from sqlalchemy import Connection, Row, func, insert, select, update

from volens.consent import (
    DataSubjectId,
    EndReason,
    InputError,
    Purpose,
    ReceiptId,
    RefusedError,
    UnverifiedReceipt,
    format_time,
)
from volens.consent.clocks import ClockFacts, Deadline, deadlines, fixed_deadline, superseded_at
from volens.consent.receipt import ReceiptClaims
from volens.consent.times import whole_seconds
from volens.store.people.consents import live_owner
from volens.store.promises.zones_and_notices import zones
from volens.store.schema import data_tables as tables
from volens.store.store import Transaction

_live = tables.live_consent.c
_seen = tables.last_interaction.c


@final
@dataclass(frozen=True, slots=True)
class ClockedConsent:
    """A consent in force with its expiry clocks.

    Attributes:
        expires_at: when matching ends, by the row.
        facts: None if the stored receipt cannot be parsed; then only the row counts.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    purpose: Purpose
    expires_at: datetime
    facts: ClockFacts | None

    @property
    def deadline(self) -> Deadline:
        """The clock that ends first. A row that ends before all clocks counts: it was shortened on purpose."""
        first = Deadline(EndReason.EXPIRED, self.expires_at)
        if self.facts is None:
            return first
        clock = deadlines(self.facts)[0]
        return first if first.at < clock.at else clock


def clocked(
    connection: Connection,
    *,
    purpose: Purpose | None = None,
    subject_id: DataSubjectId | None = None,
    receipt_id: ReceiptId | None = None,
) -> Iterator[ClockedConsent]:
    """Yield the consents in force with their expiry clocks: all, or those of a zone, person or receipt. By receipt id.

    Not checked: the receipts' signatures. If a forged receipt postpones a clock, the row still ends the consent.
    Cost: one receipt is parsed for each consent, 0.2 to 0.5 ms.
    """
    retention = {zone.purpose: zone.retention_days for zone in zones(connection)}
    columns = ("purpose", "language", "version", "sha256", "published_at", "supersedes_within_days")
    published = connection.execute(select(*(tables.notice.c[name] for name in columns))).all()
    query = (
        select(tables.live_consent, tables.receipt.c.token, tables.leaving.c.leaves_at, _seen.interacted_at)
        .join_from(tables.live_consent, tables.receipt, tables.receipt.c.receipt_id == _live.receipt_id)
        .join(tables.leaving, tables.leaving.c.receipt_id == _live.receipt_id, isouter=True)
        .join(tables.last_interaction, _seen.receipt_id == _live.receipt_id, isouter=True)
        .order_by(_live.receipt_id)
    )
    for column, wanted in ((_live.purpose, purpose), (_live.subject_id, subject_id), (_live.receipt_id, receipt_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    for row in connection.execute(query):
        yield ClockedConsent(
            ReceiptId(row.receipt_id),
            DataSubjectId(row.subject_id),
            Purpose(row.purpose),
            row.expires_at,
            _facts(row, retention, published),
        )


def shorten(tx: Transaction, *, purpose: Purpose | None = None, receipt_id: ReceiptId | None = None) -> int:
    """Move the end of consents to their earliest expiry clock, if that is before the end in the row; return how many.

    Called in the transaction of every event that sets a clock. Inactivity is left out, because a visit moves it and a
    row is never prolonged; it is computed at every admission instead.
    """
    changed = 0
    for one in list(clocked(tx.connection, purpose=purpose, receipt_id=receipt_id)):
        if one.facts is None or (until := fixed_deadline(one.facts).at) >= one.expires_at:
            continue
        tx.connection.execute(
            update(tables.live_consent).where(_live.receipt_id == one.receipt_id).values(expires_at=until)
        )
        changed += 1
    return changed


def set_leaving(tx: Transaction, receipt_id: ReceiptId, at: datetime) -> bool:
    """Record the date on which a person leaves; the consent ends then. False if it is not in force.

    Raises:
        RefusedError: an earlier date is already recorded; a consent is never prolonged.
    """
    owner = live_owner(tx.connection, receipt_id)
    if owner is None:
        return False
    moment, this = whole_seconds(at), tables.leaving.c.receipt_id == receipt_id
    recorded = tx.connection.scalar(select(tables.leaving.c.leaves_at).where(this))
    if recorded is None:
        tx.connection.execute(insert(tables.leaving).values(**owner, leaves_at=moment))
    elif recorded < moment:
        raise RefusedError(
            "an earlier leaving date is recorded, and a consent is never prolonged; ask the person for a new consent"
        )
    else:
        tx.connection.execute(update(tables.leaving).where(this).values(leaves_at=moment))
    tx.log("leaving.set", {"zone": owner["purpose"], "leaves_at": format_time(moment)}, receipt_id=receipt_id)
    shorten(tx, receipt_id=receipt_id)
    return True


def count_outliving(connection: Connection, since: datetime) -> int:
    """Return how many consents are not erased though they ended before `since`, by their rows: cheap, at every opening.

    `clocked` is thorough: it computes the clocks and does not rely on the rows.
    """
    query = select(func.count()).select_from(tables.live_consent).where(_live.expires_at < since)
    return int(connection.scalar(query) or 0)


def _facts(row: Row[Any], retention: Mapping[Purpose, int], published: Sequence[Row[Any]]) -> ClockFacts | None:
    try:
        claims = UnverifiedReceipt.parse(row.token.encode("utf-8")).claims
    except InputError:
        # A damaged receipt must not prevent the erasure; the row still ends the consent.
        return None
    return ClockFacts(
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
        retention_days=retention[Purpose(row.purpose)],
        last_interaction=row.interacted_at or claims.issued_at,
        leaves_at=row.leaves_at,
        superseded_at=_superseded_at(claims, [one for one in published if one.purpose == row.purpose]),
    )


def _superseded_at(claims: ReceiptClaims, published: Sequence[Row[Any]]) -> list[datetime]:
    """Return until when people may agree to the notices that ask again, newer than theirs and in its language.

    If one text was published twice, the newest version that the person can have seen counts as the one agreed to.
    """
    agreed: dict[str, int] = {}
    for one in published:
        if one.sha256 == claims.notice_sha256 and one.published_at <= claims.issued_at:
            agreed[one.language] = max(agreed.get(one.language, 0), one.version)
    return [
        superseded_at(one.published_at, one.supersedes_within_days)
        for one in published
        if one.supersedes_within_days is not None and one.version > agreed.get(one.language, one.version)
    ]
