"""Reading the shards of the audit log entry by entry: leaves by time, and events about no person that can be opened."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Row, Select, and_, or_, select

from volens.audit import Event
from volens.audit.leaf import open_stored_leaf
from volens.consent.errors import DamagedDataError
from volens.consent.json_reader import read_json
from volens.store.log.shard_log import shard_leaves_from
from volens.store.schema import data_tables as tables

_BATCH: Final = 500
_shard, _leaf, _opening = tables.log_shard.c, tables.shard_leaf.c, tables.shard_opening.c
_BOTH: Final = and_(_opening.shard == _leaf.shard, _opening.seq == _leaf.seq)
_OPENED: Final = (
    select(_leaf.shard, _leaf.seq, _leaf.leaf, _opening.details, _opening.salt)
    .join_from(tables.shard_leaf, tables.shard_opening, _BOTH)
    .where(_opening.receipt_id.is_(None))
)


def leaves_since(connection: Connection, since: datetime) -> Iterator[bytes]:
    """Yield all leaves of the shards that have an entry of this time or later."""
    for shard in connection.scalars(_shards(since)).all():
        start = 0
        while leaves := shard_leaves_from(connection, shard, start, _BATCH):
            yield from leaves
            start += len(leaves)


def shard_entries_about_no_person(connection: Connection, kind: str | None = None) -> list[Event]:
    """Return the events in shards that can be opened and are about no consent, oldest first, of one kind or of all.

    Raises:
        TamperError: an opening does not match its leaf.
    """
    found = [_event(row) for row in connection.execute(_OPENED.order_by(_leaf.shard, _leaf.seq))]
    return sorted((one for one in found if kind in {None, one.kind}), key=lambda one: one.at)


def shard_entries_since(connection: Connection, place: str, kind: str, since: datetime) -> list[Event]:
    """Return the events of one kind about no person, from `since` on, in the shards of a place and of places below it.

    Cost: reads each shard from its end back to `since`, and no older entries.

    Raises:
        TamperError: an opening does not match its leaf.
    """
    its = or_(_shard.place == place, _shard.place.startswith(f"{place}/", autoescape=True))
    found = [
        event
        for shard in connection.scalars(_shards(since).where(its)).all()
        for event in _backwards(connection, shard, since)
        if event.kind == kind
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)


def _shards(since: datetime) -> Select[int]:
    return select(_shard.log_index).where(_shard.newest_at >= since).order_by(_shard.log_index)


def _backwards(connection: Connection, shard: int, since: datetime) -> Iterator[Event]:
    newest = _OPENED.where(_leaf.shard == shard).order_by(_leaf.seq.desc()).limit(_BATCH)
    rows = connection.execute(newest).all()
    while rows:
        for row in rows:
            event = _event(row)
            if event.at < since:
                return
            yield event
        rows = connection.execute(newest.where(_leaf.seq < rows[-1].seq)).all()


def _event(row: Row[int, int, bytes, str, bytes]) -> Event:
    try:
        kind, at = open_stored_leaf(row.leaf, row.details, row.salt)
        return Event(kind, at, read_json(row.details), row.salt)
    except (ValueError, TypeError, AttributeError):
        raise DamagedDataError("an opening in a shard of the audit log does not match its leaf") from None
