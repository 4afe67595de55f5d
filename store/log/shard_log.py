"""Shards of the audit log in the data file: opening, appending, signing, closing (`volens.audit.shard`).

A place has one open shard at most. It is closed, and another is opened, when its month is over, when the site has
another signing key, or when an entry must open for longer than the shard is kept. All of that happens when something is
logged; the sweep closes the shards of places where nothing is logged any more (`volens.erase.outdated_shards`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol, final

import rfc8785
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from volens import audit
from volens.audit import Checkpoint, Event, NodeReader
from volens.audit.shard import SHARD_ANCHORED, SHARD_CLOSED, SHARD_OPENED, period_of, shard_name, shard_origin
from volens.consent import ReceiptId, TamperError, UnknownError, format_time, parse_time
from volens.consent.errors import DamagedDataError
from volens.store.keys.keyring import Keyring
from volens.store.keys.secrets import Random
from volens.store.log import audit_log
from volens.store.prepared_query import InList, PreparedQuery, ReadSnapshot
from volens.store.schema import data_tables as tables
from volens.store.schema import keyring_tables

ANCHORED_EVERY: Final = timedelta(hours=1)
HASH_BYTES: Final = 32
_shard, _leaf, _opening = tables.log_shard.c, tables.shard_leaf.c, tables.shard_opening.c
_remembered = keyring_tables.remembered_shard.c
_OPEN: Final = PreparedQuery(
    select(_shard.log_index, _shard.name, _shard.ends_at, _shard.kept_until, _shard.public_key, _shard.size)
    .where(_shard.place == bindparam("place"), _shard.closed_index.is_(None))
    .order_by(_shard.log_index.desc())
)
_NODES: Final = PreparedQuery(
    select(_leaf.seq, _leaf.nodes).where(_leaf.shard == bindparam("shard"), InList(_leaf.seq, "ends"))
)
_REMEMBERED: Final = PreparedQuery(select(_remembered.size).where(_remembered.shard == bindparam("shard")))
_NEWEST: Final = PreparedQuery(select(func.max(_shard.newest_at)))
_head: Final = select(_shard.log_index, _shard.size, _shard.root, _shard.kept_until).order_by(_shard.log_index)
_HEADS: Final = PreparedQuery(_head)
_HEADS_SINCE: Final = PreparedQuery(
    _head.where(_shard.closed_index.is_(None) | (_shard.closed_index >= bindparam("since")))
)
_THERE: Final = PreparedQuery(select(_shard.log_index).where(InList(_shard.log_index, "shards")))


class LogMain(Protocol):
    """Appends an event about no person to the main log; returns the number of its leaf, and the event with its salt."""

    def __call__(self, kind: str, details: Mapping[str, str | int], *, at: datetime) -> tuple[int, Event]:
        """Append the event."""


@final
class ShardHead(NamedTuple):
    """A shard as the data file has it: number of the leaf that opened it, size, root, and when it may be deleted."""

    shard: int
    size: int
    root: bytes
    kept_until: str


class _Open(NamedTuple):
    log_index: int
    name: str
    ends_at: datetime
    kept_until: datetime
    public_key: bytes
    size: int


@final
class ShardWriter:
    """Appends to shards in one write transaction; `finish` signs the heads of those that have grown."""

    def __init__(self, connection: Connection, keyring: Keyring, origin: str, random: Random, log: LogMain) -> None:
        self._connection, self._keyring, self._origin, self._random, self._log = (
            connection,
            keyring,
            origin,
            random,
            log,
        )
        self._grown: dict[str, tuple[_Open, datetime]] = {}

    def append(
        self,
        place: str,
        kept_for: timedelta,
        kind: str,
        at: datetime,
        many_details: Sequence[Mapping[str, str | int]],
        *,
        receipt_id: ReceiptId | None = None,
    ) -> None:
        """Append one event of a time for each of the details to the shard of a place.

        The openings belong to `receipt_id` and are erased with that consent, or after `kept_for`.

        Raises:
            TamperError: the shard is shorter than the keyring remembers, or a node of it is missing.
        """
        shard = self._open_at(place, at, kept_for)
        events = [Event(kind, at, details, self._random(audit.SALT_BYTES)) for details in many_details]
        self._insert(shard.log_index, shard.size, [audit.leaf_bytes(one) for one in events])
        openings = [
            {
                "shard": shard.log_index,
                "seq": seq,
                "receipt_id": receipt_id,
                "details": rfc8785.dumps(dict(one.details)).decode("utf-8"),
                "salt": one.salt,
                "ends_at": at + kept_for,
            }
            for seq, one in enumerate(events, shard.size)
        ]
        self._connection.execute(insert(tables.shard_opening), openings)
        self._grown[place] = shard._replace(size=shard.size + len(events)), at

    def close_over(self, now: datetime) -> None:
        """Close the shards whose month is over."""
        over = select(_shard.place).where(_shard.closed_index.is_(None), _shard.ends_at <= now)
        for place in self._connection.scalars(over.order_by(_shard.log_index)).all():
            for one in self._open(place):
                self._close(one, now)

    def close_all(self, now: datetime) -> None:
        """Close every shard, as a restore does: what is logged from now on goes into new ones."""
        for place in self._connection.scalars(select(_shard.place).where(_shard.closed_index.is_(None))).all():
            for one in self._open(place):
                self._close(one, now)

    def finish(self) -> bool:
        """Sign the heads of the shards that have grown; return whether there is any.

        If the main log has not grown for `ANCHORED_EVERY`, it states the heads of all open shards. So who has seen a
        later checkpoint of the main log notices that visits are missing.
        """
        grown, self._grown = self._grown, {}
        for shard, at in grown.values():
            self._sign(shard, at)
        newest = audit_log.newest_time(self._connection)
        latest = max((at for _shard, at in grown.values()), default=None)
        if latest is not None and newest is not None and latest - newest >= ANCHORED_EVERY:
            self._log(SHARD_ANCHORED, _heads_of_open_shards(self._connection), at=latest)
        return bool(grown)

    def _open_at(self, place: str, at: datetime, kept_for: timedelta) -> _Open:
        """Return the open shard of a place; another one is closed first, as the module says."""
        if place in self._grown:
            shard, _at = self._grown[place]
            if _fits(shard, at, kept_for, shard.public_key):
                return shard
        self._keyring.refresh()
        key = self._keyring.public_key
        for one in self._open(place):
            if _fits(one, at, kept_for, key):
                self._check_remembered(one)
                return one
            self._close(one, at)
        period, ends_at = period_of(at)
        kept_until = ends_at + kept_for
        index = audit_log.log_size(self._connection)
        name = shard_name(place, period, index)
        self._log(SHARD_OPENED, opening_details(name, ends_at, kept_until), at=at)
        shard = _Open(index, name, ends_at, kept_until, key, 0)
        row = shard._asdict() | {"place": place, "root": audit.empty_root(), "note": "", "newest_at": at}
        self._connection.execute(insert(tables.log_shard).values(row))
        return shard

    def _open(self, place: str) -> list[_Open]:
        rows = _OPEN.rows(self._connection, {"place": place})
        return [
            _Open(index, name, parse_time(ends), parse_time(kept), bytes(key), size)
            for index, name, ends, kept, key, size in rows
        ]

    def _check_remembered(self, shard: _Open) -> None:
        """Check that no number of a leaf is given out twice; an opening checks also the roots."""
        with self._keyring.engine.read_each() as kept:
            rows = _REMEMBERED.rows(kept, {"shard": shard.log_index})
        if rows and rows[0][0] > shard.size:
            raise TamperError(
                f"integrity: the shard {shard.name} of the audit log has {shard.size} entries, the keyring remembers "
                f"{rows[0][0]}; this is an older data file; run 'volens restore --in-place'"
            )

    def _close(self, shard: _Open, at: datetime) -> None:
        for place, (grown, newest) in list(self._grown.items()):
            if grown.log_index == shard.log_index:
                self._sign(grown, newest)
                shard = grown
                del self._grown[place]
        root = audit.root(shard.size, shard_nodes(self._connection, shard.log_index, shard.size))
        details = closing_details(shard.name, shard.log_index, shard.size, root)
        index, _event = self._log(SHARD_CLOSED, details, at=at)
        this = update(tables.log_shard).where(_shard.log_index == shard.log_index)
        self._connection.execute(this.values(closed_index=index))

    def _sign(self, shard: _Open, at: datetime) -> None:
        root = audit.root(shard.size, shard_nodes(self._connection, shard.log_index, shard.size))
        note = self._keyring.sign_checkpoint(Checkpoint(shard_origin(self._origin, shard.name), shard.size, root))
        this = update(tables.log_shard).where(_shard.log_index == shard.log_index)
        self._connection.execute(this.values(size=shard.size, root=root, note=note, newest_at=at))

    def _insert(self, shard: int, first: int, leaves: Sequence[bytes]) -> None:
        stored, fresh = shard_nodes(self._connection, shard, first), dict[tuple[int, int], bytes]()

        def read(level: int, index: int, /) -> bytes:
            return fresh.get((level, index)) or stored(level, index)

        rows = []
        for seq, leaf in enumerate(leaves, first):
            made = audit.new_nodes(seq, audit.leaf_hash(leaf), read)
            fresh.update({(level, at): node for level, at, node in made})
            nodes = b"".join(node for _level, _at, node in made)
            rows.append({"shard": shard, "seq": seq, "leaf": leaf, "nodes": nodes})
        self._connection.execute(insert(tables.shard_leaf), rows)


def shard_nodes(connection: Connection | ReadSnapshot, shard: int, size: int = 0) -> NodeReader:
    """Return a function that reads the nodes of a shard. It raises TamperError if a node is missing.

    The nodes that make the root of the first `size` leaves, and that the next leaf needs, are read with one query.
    """

    def stored(ends: Sequence[int]) -> dict[int, bytes]:
        return {seq: bytes(nodes) for seq, nodes in _NODES.rows(connection, {"shard": shard, "ends": list(ends)})}

    tops = [(size >> level << level) - 1 for level in range(size.bit_length()) if size >> level & 1]
    known = stored(tops) if tops else {}

    def read(level: int, index: int, /) -> bytes:
        end = ((index + 1) << level) - 1
        nodes = known.get(end) or stored([end]).get(end, b"")
        node = nodes[HASH_BYTES * level : HASH_BYTES * (level + 1)]
        if len(node) != HASH_BYTES:
            raise DamagedDataError("a node of a shard of the audit log is missing")
        return node

    return read


def opening_details(name: str, ends_at: datetime, kept_until: datetime) -> dict[str, str | int]:
    """Return what the main log says of a shard that was opened."""
    return {"shard": name, "ends_at": format_time(ends_at), "kept_until": format_time(kept_until)}


def closing_details(name: str, opened: int, size: int, root: bytes) -> dict[str, str | int]:
    """Return what the main log says of a shard that was closed."""
    return {"shard": name, "opened": opened, "size": size, "root": root.hex()}


def read_anchor(details: Mapping[str, Any]) -> dict[int, tuple[int, bytes]]:
    """Return size and root of each shard of an entry `SHARD_ANCHORED`, by the number of the shard.

    Raises:
        ValueError: the details are not those of such an entry.
    """
    heads = {int(shard): str(head).partition(" ") for shard, head in details.items()}
    return {shard: (int(size), bytes.fromhex(root)) for shard, (size, _space, root) in heads.items()}


def _heads_of_open_shards(connection: Connection) -> dict[str, str | int]:
    query = select(_shard.log_index, _shard.size, _shard.root).where(_shard.closed_index.is_(None))
    return {str(row.log_index): f"{row.size} {row.root.hex()}" for row in connection.execute(query)}


def shard_heads(connection: Connection, since: int | None = None) -> list[ShardHead]:
    """Return the shards of the data file, as their rows say, oldest first.

    With `since`, only those that may have grown since the main log had this size: they were not closed before.
    """
    rows = _HEADS.rows(connection, {}) if since is None else _HEADS_SINCE.rows(connection, {"since": since})
    return [ShardHead(index, size, bytes(root), until) for index, size, root, until in rows]


def shards_there(connection: Connection, shards: Sequence[int]) -> set[int]:
    """Return those of some shards that the data file has."""
    return {index for (index,) in _THERE.rows(connection, {"shards": list(shards)})}


@final
class StoredShard(NamedTuple):
    """A shard by its name: the leaf that opened it, its size, and its newest signed checkpoint."""

    log_index: int
    size: int
    note: str


def shard_of(connection: Connection, name: str) -> StoredShard:
    """Return a shard by its name.

    Raises:
        UnknownError: there is none.
    """
    query = select(_shard.log_index, _shard.size, _shard.note).where(_shard.name == name)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownError(
            f"the log has no shard {name!r}; run 'volens audit verify', which lists those that are there"
        )
    return StoredShard(*row)


def shard_leaves_from(connection: Connection, shard: int, start: int, count: int) -> list[bytes]:
    """Return up to `count` leaves of a shard from leaf `start`; fewer or none at its end."""
    query = select(_leaf.leaf).where(_leaf.shard == shard, _leaf.seq >= start).order_by(_leaf.seq).limit(count)
    return [bytes(leaf) for leaf in connection.scalars(query)]


def newest_time(connection: Connection | ReadSnapshot) -> datetime | None:
    """Return the time of the newest entry, of the main log or of a shard; None if there is none.

    Raises:
        TamperError: the newest leaf of the main log is malformed.
    """
    main = audit_log.newest_time(connection)
    ((newest,),) = _NEWEST.rows(connection, {})
    return main if newest is None or main is None else max(main, parse_time(newest))


def erase_shard_openings(connection: Connection, receipt_ids: Iterable[ReceiptId]) -> dict[ReceiptId, int]:
    """Erase the openings about consents in all shards; return how many each consent had."""
    about = _opening.receipt_id.in_(list(receipt_ids))
    counts = select(_opening.receipt_id, func.count()).where(about).group_by(_opening.receipt_id)
    found = {ReceiptId(receipt_id): int(count) for receipt_id, count in connection.execute(counts)}
    connection.execute(delete(tables.shard_opening).where(about))
    return found


def erase_outdated_shard_openings(connection: Connection, now: datetime) -> int:
    """Erase the openings past their end; return how many."""
    return connection.execute(delete(tables.shard_opening).where(_opening.ends_at < now)).rowcount


def _fits(shard: _Open, at: datetime, kept_for: timedelta, key: bytes) -> bool:
    return at < shard.ends_at and at + kept_for <= shard.kept_until and key == shard.public_key
