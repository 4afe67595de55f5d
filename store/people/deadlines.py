"""The clocks of the consents in force: the rows they are read from, and the events that set them.

What an event ends early stands in `live_consent.expires_at` from that commit on, so that matching ends on time without
anybody sweeping. The reason is not kept beside it: it is read from the facts again when the consent is ended.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
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
    UnavailableError,
    UnverifiedReceipt,
    format_time,
)
from volens.consent.clocks import ClockFacts, Deadline, Superseding, deadlines, fixed_deadline
from volens.consent.receipt import ReceiptClaims
from volens.consent.times import whole_seconds
from volens.store.promises.zones_and_notices import zones
from volens.store.schema import data_tables as tables
from volens.store.store import Store, Transaction

_live = tables.live_consent.c
_seen = tables.last_interaction.c


@final
@dataclass(frozen=True, slots=True)
class ClockedConsent:
    """A consent in force with its clocks.

    Attributes:
        expires_at: when matching ends, as the row says.
        facts: None where the stored receipt cannot be read any more; then the row alone counts.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    purpose: Purpose
    expires_at: datetime
    facts: ClockFacts | None

    @property
    def deadline(self) -> Deadline:
        """The clock that ends first. A row that ends before all clocks is believed: it was shortened on purpose."""
        first = Deadline(EndReason.EXPIRED, self.expires_at)
        if self.facts is None:
            return first
        clock = deadlines(self.facts)[0]
        return first if first.at < clock.at else clock


@final
@dataclass(frozen=True, slots=True)
class _Published:
    purpose: str
    language: str
    version: int
    sha256: str
    published_at: datetime
    within_days: int | None


def clocked(
    connection: Connection,
    *,
    purpose: Purpose | None = None,
    subject_id: DataSubjectId | None = None,
    receipt_id: ReceiptId | None = None,
) -> Iterator[ClockedConsent]:
    """Yield the consents in force with their clocks: all, or those of a zone, a person, a receipt. By receipt id.

    Not checked: the receipts' signatures. A clock that a forged receipt postpones ends with the row all the same.
    Cost: one receipt is parsed for each consent, 0.2 to 0.5 ms.
    """
    retention = {zone.purpose: zone.retention_days for zone in zones(connection)}
    published = _published(connection)
    query = (
        select(
            _live.receipt_id,
            _live.subject_id,
            _live.purpose,
            _live.expires_at,
            tables.receipt.c.token,
            tables.leaving.c.leaves_at,
            _seen.interacted_at,
        )
        .join_from(tables.live_consent, tables.receipt, tables.receipt.c.receipt_id == _live.receipt_id)
        .join(tables.leaving, tables.leaving.c.receipt_id == _live.receipt_id, isouter=True)
        .join(tables.last_interaction, _seen.receipt_id == _live.receipt_id, isouter=True)
        .order_by(_live.receipt_id)
    )
    if purpose is not None:
        query = query.where(_live.purpose == purpose)
    if subject_id is not None:
        query = query.where(_live.subject_id == subject_id)
    if receipt_id is not None:
        query = query.where(_live.receipt_id == receipt_id)
    for row in connection.execute(query):
        yield ClockedConsent(
            ReceiptId(row.receipt_id),
            DataSubjectId(row.subject_id),
            Purpose(row.purpose),
            row.expires_at,
            _facts(row, retention, published),
        )


def shorten(tx: Transaction, *, purpose: Purpose | None = None, receipt_id: ReceiptId | None = None) -> int:
    """Let consents end when their clocks say, if that is earlier than their rows do; return how many were shortened.

    Called in the transaction of every event that sets a clock. Inactivity is left out: a visit moves it, and a row is
    never prolonged, so it is looked up at every admission instead.
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
    """Record when a person leaves, and end their consent then; False if it is not in force.

    Raises:
        RefusedError: they were to leave earlier already; a consent is never prolonged.
    """
    row = tx.connection.execute(
        select(_live.receipt_id, _live.subject_id, _live.purpose, tables.leaving.c.leaves_at)
        .join_from(tables.live_consent, tables.leaving, tables.leaving.c.receipt_id == _live.receipt_id, isouter=True)
        .where(_live.receipt_id == receipt_id)
    ).one_or_none()
    if row is None:
        return False
    moment = whole_seconds(at)
    if row.leaves_at is None:
        tx.connection.execute(
            insert(tables.leaving).values(
                receipt_id=row.receipt_id, subject_id=row.subject_id, purpose=row.purpose, leaves_at=moment
            )
        )
    elif row.leaves_at < moment:
        raise RefusedError(
            "this person is to leave earlier than that already, and a consent is never prolonged; ask for a new one"
        )
    else:
        tx.connection.execute(
            update(tables.leaving).where(tables.leaving.c.receipt_id == receipt_id).values(leaves_at=moment)
        )
    tx.log("leaving.set", {"zone": row.purpose, "leaves_at": format_time(moment)}, receipt_id=receipt_id)
    shorten(tx, receipt_id=receipt_id)
    return True


def note_interactions(store: Store, receipt_ids: Sequence[ReceiptId]) -> None:
    """Note that people came in, by the day and no finer: a matched face is an interaction.

    A store that cannot be written now is no reason to keep a door shut: then the clock of inactivity ends earlier.
    """
    today = store.now().replace(hour=0, minute=0, second=0)
    with suppress(UnavailableError):
        with store.read() as connection:
            known = connection.execute(
                select(_seen.receipt_id).where(_seen.receipt_id.in_(receipt_ids), _seen.interacted_at < today)
            )
            stale = [row.receipt_id for row in known]
        if not stale:
            return
        with store.write(wait=False) as tx:
            tx.connection.execute(
                update(tables.last_interaction)
                .where(_seen.receipt_id.in_(stale), _seen.interacted_at < today)
                .values(interacted_at=today)
            )


def count_outliving(connection: Connection, since: datetime) -> int:
    """Return how many consents are still there that ended before `since`, by their rows: cheap, at every opening.

    `clocked` is the thorough way, which does not trust the rows.
    """
    query = select(func.count()).select_from(tables.live_consent).where(_live.expires_at < since)
    return int(connection.scalar(query) or 0)


def _published(connection: Connection) -> list[_Published]:
    notice = tables.notice.c
    columns = (
        notice.purpose,
        notice.language,
        notice.version,
        notice.sha256,
        notice.published_at,
        notice.supersedes_within_days,
    )
    return [_Published(*row) for row in connection.execute(select(*columns))]


def _facts(
    row: Row[*tuple[Any, ...]], retention: Mapping[Purpose, int], published: Iterable[_Published]
) -> ClockFacts | None:
    try:
        claims = UnverifiedReceipt.parse(row.token.encode("utf-8")).claims
    except InputError:
        # A damaged receipt must not keep anybody from being erased; the row still ends.
        return None
    return ClockFacts(
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
        retention_days=retention[Purpose(row.purpose)],
        last_interaction=row.interacted_at or claims.issued_at,
        leaves_at=row.leaves_at,
        superseding=_superseding(claims, [one for one in published if one.purpose == row.purpose]),
    )


def _superseding(claims: ReceiptClaims, published: Sequence[_Published]) -> list[Superseding]:
    """Return the notices that ask again, of those newer than the one agreed to and in its language.

    One text may have been published twice; then the newest version of it that the person can have seen is meant.
    """
    agreed: dict[str, int] = {}
    for one in published:
        if one.sha256 == claims.notice_sha256 and one.published_at <= claims.issued_at:
            agreed[one.language] = max(agreed.get(one.language, 0), one.version)
    return [
        Superseding(one.published_at, one.within_days)
        for one in published
        if one.within_days is not None and one.version > agreed.get(one.language, one.version)
    ]
