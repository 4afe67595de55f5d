"""Openings of log entries whose period is over: the details become unreadable, and the leaves stay.

A leaf is public, and has its kind, its time and a hash. What an entry says is in its opening: who was shown names,
which request was opened, which credential was issued. It is kept for a period (`log_openings_days` of a profile).

Kept beyond it: openings that a row refers to, as long as the row is there (`referenced`), and those of `SITE_KINDS`.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, union_all

from volens import audit
from volens.store.log.audit_log import log_size
from volens.store.schema import data_tables as tables

SITE_KINDS: Final = frozenset(
    {
        *("site.created", "site.copy_begun", "site.moved", "signing_key.rotated", "keys.rotated"),
        *("keyring.repaired", "backup.begun", "time.corrected"),
    }
)
"""Kinds that name no person and no member of staff, and that the site reads again: about its keys, copies, backups."""

_REFERRING: Final = frozenset({"log_index", "approval_index", "closed_index"})
_BATCH: Final = 500
_event, _opening = tables.audit_event.c, tables.audit_opening.c


def referenced(connection: Connection) -> set[int]:
    """Return the entries that rows refer to: operators, credentials, orders. See `check_logged`."""
    columns = [
        column for table in tables.metadata.sorted_tables for column in table.columns if column.name in _REFERRING
    ]
    found = union_all(*(select(column.label("seq")).where(column.is_not(None)) for column in columns))
    return set(connection.scalars(found))


def outdated_openings(connection: Connection, before: datetime, kept: AbstractSet[int], at_most: int) -> list[int]:
    """Return the entries older than a time that can still be opened, oldest first, without those in `kept`.

    Cost: reads the openings before that time, which are few after the first sweep.

    Raises:
        TamperError: a leaf is malformed.
    """
    found, after, end = list[int](), -1, _first_since(connection, before)
    while len(found) < at_most:
        rows = connection.execute(
            select(_opening.seq, _event.leaf)
            .join_from(tables.audit_opening, tables.audit_event, _event.seq == _opening.seq)
            .where(_opening.seq > after, _opening.seq < end)
            .order_by(_opening.seq)
            .limit(_BATCH)
        ).all()
        for row in rows:
            kind, at = audit.read_leaf(row.leaf)
            if at < before and kind not in SITE_KINDS and row.seq not in kept:
                found.append(row.seq)
        if len(rows) < _BATCH:
            break
        after = rows[-1].seq
    return found[:at_most]


def erase_openings_of(connection: Connection, entries: Sequence[int]) -> int:
    """Erase the openings of entries; return how many there were."""
    erased = 0
    for start in range(0, len(entries), _BATCH):
        these = _opening.seq.in_(entries[start : start + _BATCH])
        erased += connection.execute(delete(tables.audit_opening).where(these)).rowcount
    return erased


def _first_since(connection: Connection, time: datetime) -> int:
    """Return the number of the first entry that is not older than a time, by bisection: the log grows with time.

    An entry can be a minute older than the one before it, or more after a correction of the clock. So the caller
    compares each time again, and an entry that is missed is found a day later.
    """
    low, high = 0, log_size(connection)
    while low < high:
        middle = (low + high) // 2
        leaf = connection.scalar(select(_event.leaf).where(_event.seq == middle))
        _kind, at = audit.read_leaf(leaf or b"")
        low, high = (middle + 1, high) if at < time else (low, middle)
    return low
