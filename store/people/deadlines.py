"""The expiry clocks of the consents in force: the rows they are computed from, and the events that set them.

If an event ends a consent early, `live_consent.expires_at` has the new end from that commit on, so that matching stops
on time without a sweep. The reason is not stored with it: it is computed from the facts again when the consent ends.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from volens.consent import (
    DataSubjectId,
    EndReason,
    InputError,
    Purpose,
    ReceiptId,
    RefusedError,
    TamperError,
    UnverifiedReceipt,
    format_time,
)
from volens.consent.clocks import ClockFacts, Deadline, deadlines, fixed_deadline, superseded_at
from volens.consent.law import Clocks
from volens.consent.lease import lasts_everywhere_s
from volens.consent.receipt import ReceiptClaims
from volens.consent.times import whole_seconds
from volens.consent.zone import MAX_LEASE_SECONDS
from volens.store.people.consents import inspect_consents, live_owner
from volens.store.promises.jurisdiction_clocks import clocks_in
from volens.store.promises.lease_revocation import revoke_leases
from volens.store.promises.zones_and_notices import inspect_zones
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

_live = tables.live_consent.c
_seen = tables.last_interaction.c
_BATCH: Final = 500
_LONGEST_LEASE: Final = timedelta(seconds=lasts_everywhere_s(MAX_LEASE_SECONDS))
_SHORTEN: Final = (
    update(tables.live_consent).where(_live.receipt_id == bindparam("of")).values(expires_at=bindparam("until"))
)


@final
@dataclass(frozen=True, slots=True)
class ClockedConsent:
    """A consent in force with its expiry clocks.

    Attributes:
        expires_at: when matching ends, by the row.
        facts: None if the stored receipt cannot be parsed; then only the row counts.
        problem: what is wrong with the rows of the consent or of its zone; then the clocks may be later than promised.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    purpose: Purpose
    expires_at: datetime
    facts: ClockFacts | None
    problem: TamperError | None = None

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
    receipt_ids: Collection[ReceiptId] | None = None,
) -> Iterator[ClockedConsent]:
    """Yield the consents in force with their expiry clocks: all, or those of a zone, person or receipts. By receipt id.

    Rows that do not verify are yielded with their problem: the consent is closed, and can still be erased.

    Not checked: the receipts' signatures. If a forged receipt postpones a clock, the row still ends the consent.
    Cost: one receipt is parsed for each consent, 0.2 to 0.5 ms.
    """
    inspected = inspect_zones(connection)
    retention = {zone.purpose: zone.retention_days for zone, _problem in inspected}
    zone_problems = {zone.purpose: problem for zone, problem in inspected}
    columns = ("purpose", "language", "version", "sha256", "published_at", "supersedes_within_days")
    published = connection.execute(select(*(tables.notice.c[name] for name in columns))).all()
    query = (
        select(
            tables.live_consent,
            tables.receipt.c.token,
            tables.receipt.c.jurisdiction,
            tables.leaving.c.leaves_at,
            _seen.interacted_at,
        )
        .join_from(tables.live_consent, tables.receipt, tables.receipt.c.receipt_id == _live.receipt_id)
        .join(tables.leaving, tables.leaving.c.receipt_id == _live.receipt_id, isouter=True)
        .join(tables.last_interaction, _seen.receipt_id == _live.receipt_id, isouter=True)
        .order_by(_live.receipt_id)
    )
    for column, wanted in ((_live.purpose, purpose), (_live.subject_id, subject_id), (_live.receipt_id, receipt_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    if receipt_ids is not None:
        query = query.where(_live.receipt_id.in_(receipt_ids))
    rows, clocks = connection.execute(query).all(), clocks_in(connection)
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        found = inspect_consents(connection, [row.receipt_id for row in batch])
        for row in batch:
            own = found.get(row.receipt_id)
            yield ClockedConsent(
                ReceiptId(row.receipt_id),
                DataSubjectId(row.subject_id),
                Purpose(row.purpose),
                row.expires_at,
                _facts(row, retention, published, clocks.of(row.jurisdiction)),
                own if isinstance(own, TamperError) else zone_problems[Purpose(row.purpose)],
            )


def shorten(tx: Transaction, *, purpose: Purpose | None = None, receipt_id: ReceiptId | None = None) -> int:
    """Move the end of consents to their earliest expiry clock, if that is before the end in the row; return how many.

    Called in the transaction of every event that sets a clock. Inactivity is left out, because a visit moves it and a
    row is never prolonged; it is computed at every admission instead. A lease that could outlive such a consent is
    revoked.
    """
    earlier, zones = dict[ReceiptId, datetime](), set[Purpose]()
    for one in clocked(tx.connection, purpose=purpose, receipt_id=receipt_id):
        # A consent that does not verify is closed already, and its rows must not be sealed.
        if one.facts is None or one.problem is not None:
            continue
        if (until := fixed_deadline(one.facts).at) < one.expires_at:
            earlier[one.receipt_id] = until
            zones |= {one.purpose} if until <= tx.now + _LONGEST_LEASE else set()
    with tx.changing(Scope.CONSENT, earlier):
        if earlier:
            tx.connection.execute(_SHORTEN, [{"of": one, "until": until} for one, until in earlier.items()])
    for zone in zones:
        revoke_leases(tx, zone)
    return len(earlier)


def set_leaving(tx: Transaction, receipt_id: ReceiptId, at: datetime) -> bool:
    """Record the date on which a person leaves; the consent ends then. False if it is not in force.

    If the date is now or past and the rows of the consent do not verify, nothing is recorded: the caller erases it.

    Raises:
        RefusedError: an earlier date is already recorded; a consent is never prolonged.
        TamperError: the date is to come, and the rows do not verify.
    """
    owner = live_owner(tx.connection, receipt_id)
    if owner is None:
        return False
    moment, this = whole_seconds(at), tables.leaving.c.receipt_id == receipt_id
    recorded = tx.connection.scalar(select(tables.leaving.c.leaves_at).where(this))
    if moment <= tx.now and isinstance(inspect_consents(tx.connection, [receipt_id]).get(receipt_id), TamperError):
        return True
    if recorded is not None and recorded < moment:
        raise RefusedError(
            "an earlier leaving date is recorded, and a consent is never prolonged; ask the person for a new consent"
        )
    with tx.changing(Scope.CONSENT, [receipt_id]):
        if recorded is None:
            tx.connection.execute(insert(tables.leaving).values(**owner, leaves_at=moment))
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


def _facts(
    row: Row[Any], retention: Mapping[Purpose, int], published: Sequence[Row[Any]], clocks: Clocks
) -> ClockFacts | None:
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
        max_term_days=clocks.max_term_days,
        inactive_after_days=clocks.inactive_after_days,
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
