"""Verification of the shards of the audit log, each alone, against the main log and the public key.

A shard is read leaf by leaf: memory does not grow with it. Main log and shards are verified one after the other
(`volens.store.log.audit_log.verify_log`), so a shard can be verified without the others.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, and_, select

from volens import audit
from volens.audit import VerifierKey
from volens.audit.frontier import Frontier
from volens.audit.leaf import open_stored_leaf
from volens.audit.shard import SHARD_ANCHORED, SHARD_CLOSED, SHARD_LOST, SHARD_OPENED, shard_key
from volens.consent import TamperError, parse_time
from volens.consent.errors import DamagedDataError
from volens.consent.json_reader import read_json
from volens.store.log import audit_log
from volens.store.log.shard_log import closing_details, opening_details, read_anchor, shard_nodes, shard_of
from volens.store.log.shard_report import ShardReport, VerifiedShard
from volens.store.schema import data_tables as tables

_BATCH: Final = 1000
_shard, _leaf, _opening = tables.log_shard.c, tables.shard_leaf.c, tables.shard_opening.c
_event, _main_opening = tables.audit_event.c, tables.audit_opening.c
_KINDS: Final = tuple(kind.encode() for kind in (SHARD_OPENED, SHARD_CLOSED, SHARD_LOST, SHARD_ANCHORED))
_Details = Mapping[str, Any]


class _Said(NamedTuple):
    """What the main log says of shards: details by the number of the opening leaf; None if they open no more."""

    opened: dict[int, _Details | None]
    closed: dict[int, tuple[int, _Details]]
    lost: set[int]
    anchored: dict[int, tuple[int, bytes]]


def verify_shards(connection: Connection, key: VerifierKey, name: str | None = None) -> ShardReport:
    """Verify all shards, or the one of a name. The main log itself is verified by `verify_log`.

    1. The main log has opened each shard with the name and the term of its row, and closed it with its size and root.
    2. Each shard that the main log has opened is there, unless its term is over or a restore has lost it.
    3. Every leaf of a shard is well formed, and has the nodes that it completes. Every opening opens its leaf.
    4. The checkpoint of a shard is signed with its key, and states the number and the root of its leaves.
    5. Each shard has the size and the root that the main log stated last while it was open, unless a restore lost them.

    Raises:
        UnknownError: there is no shard of this name.
        TamperError: any of the above does not hold.
    """
    said, newest = _said(connection), audit_log.newest_time(connection)
    rows = connection.execute(select(tables.log_shard).order_by(_shard.log_index)).all()
    wanted = [row for row in rows if name in {None, row.name}]
    if name is not None:
        shard_of(connection, name)
    # 1.
    for row in wanted:
        _check_row(row, said)
    # 2.
    over = {row.log_index for row in rows if row.closed_index is not None and _is_over(row.kept_until, newest)}
    missing = [index for index in said.opened if index not in {row.log_index for row in rows}]
    ended = len(over) + sum(_has_ended(index, said, newest) for index in missing)
    there = [row for row in wanted if row.log_index not in over]
    # 3. and 4.
    verified = [_verify(connection, row, key) for row in there]
    # 5.
    for row in there:
        _check_anchor(connection, row, said)
    return ShardReport(verified, ended, len(said.lost))


def _said(connection: Connection) -> _Said:
    said = _Said({}, {}, set(), {})
    query = select(_event.seq, _event.leaf, _main_opening.details, _main_opening.salt).join_from(
        tables.audit_event, tables.audit_opening, _event.seq == _main_opening.seq, isouter=True
    )
    for row in connection.execute(query.order_by(_event.seq).execution_options(yield_per=_BATCH)):
        # Looked for first, because to parse a leaf takes 0.1 ms.
        if not any(kind in row.leaf for kind in _KINDS):
            continue
        kind, _at = audit.read_leaf(row.leaf)
        details = None if row.details is None else _opened(row.leaf, row.details, row.salt)
        if kind == SHARD_OPENED:
            said.opened[row.seq] = details
        elif kind == SHARD_CLOSED and details is not None:
            said.closed[int(details["opened"])] = (row.seq, details)
        elif kind == SHARD_LOST and details is not None:
            said.lost.add(int(details["opened"]))
        elif kind == SHARD_ANCHORED and details is not None:
            said.anchored.update(read_anchor(details))
    return said


def _check_row(row: Row[Any], said: _Said) -> None:
    expected = opening_details(row.name, row.ends_at, row.kept_until)
    closed = said.closed.get(row.log_index)
    is_closed_so = (None if closed is None else closed[0]) == row.closed_index
    if closed is not None and is_closed_so:
        is_closed_so = closed[1] == closing_details(row.name, row.log_index, row.size, row.root)
    if said.opened.get(row.log_index) != expected or not is_closed_so:
        raise TamperError(f"integrity: the shard {row.name} is not the one that the main log has opened and closed")


def _check_anchor(connection: Connection, row: Row[Any], said: _Said) -> None:
    if row.log_index in said.lost or row.log_index not in said.anchored:
        return
    size, root = said.anchored[row.log_index]
    if size > row.size or audit.root(size, shard_nodes(connection, row.log_index, size)) != root:
        raise TamperError(
            f"integrity: the shard {row.name} is not the one whose first {size} entries the main log states"
        )


def _has_ended(index: int, said: _Said, newest: datetime | None) -> bool:
    """Return whether a shard that is not there has ended; its details may be unreadable by then.

    Raises:
        TamperError: it should be there.
    """
    details = said.opened[index]
    if index in said.lost:
        return False
    if details is None or _is_over(details["kept_until"], newest):
        return True
    raise DamagedDataError(f"the shard {details['shard']} of the audit log is missing")


def _is_over(kept_until: datetime | str, newest: datetime | None) -> bool:
    until = parse_time(kept_until) if isinstance(kept_until, str) else kept_until
    return newest is not None and until < newest


def _verify(connection: Connection, row: Row[Any], key: VerifierKey) -> VerifiedShard:
    seen, openings, kinds = Frontier(), 0, Counter[str]()
    # 3.
    for leaf in _leaves(connection, row.log_index):
        if leaf.seq != seen.size:
            raise TamperError(f"integrity: entry {seen.size} of the shard {row.name} is missing")
        if leaf.details is None:
            kind, _at = audit.read_leaf(leaf.leaf)
        else:
            kind, _at = open_stored_leaf(leaf.leaf, leaf.details, leaf.salt)
            openings += 1
        kinds[kind] += 1
        if b"".join(value for _level, _index, value in seen.append(leaf.leaf)) != leaf.nodes:
            raise TamperError(f"integrity: the stored nodes of the shard {row.name} are not those of its leaves")
    stray = select(_opening.seq).where(_opening.shard == row.log_index, _opening.seq >= seen.size).limit(1)
    if connection.scalar(stray) is not None:
        raise TamperError(f"integrity: the shard {row.name} has the opening of an entry that it does not have")
    # 4.
    head = audit.open_checkpoint(row.note, shard_key(key, row.name, row.log_index))
    if not (head.size == row.size == seen.size and head.root == row.root == seen.root()):
        raise TamperError(
            f"integrity: the shard {row.name} has {seen.size} entries, which are not those of its signed checkpoint of "
            f"{head.size}"
        )
    return VerifiedShard(row.name, seen.size, head.root, openings, row.closed_index is not None, kinds)


def _leaves(connection: Connection, shard: int) -> Iterator[Row[int, bytes, bytes, str, bytes]]:
    columns = (_leaf.seq, _leaf.leaf, _leaf.nodes, _opening.details, _opening.salt)
    its = and_(_opening.shard == _leaf.shard, _opening.seq == _leaf.seq)
    query = select(*columns).join_from(tables.shard_leaf, tables.shard_opening, its, isouter=True)
    ordered = query.where(_leaf.shard == shard).order_by(_leaf.seq)
    yield from connection.execute(ordered.execution_options(yield_per=_BATCH))


def _opened(leaf: bytes, details: str, salt: bytes) -> _Details:
    try:
        opened: _Details = read_json(details)
        audit.open_leaf(leaf, opened, salt)
    except (ValueError, TypeError, AttributeError):
        raise TamperError("integrity: an opening in a shard of the audit log does not match its leaf") from None
    return opened
