"""The audit log in the data file (Merkle tree): leaves and nodes stay, openings are erased with the person."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final, final

import rfc8785
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select

from volens import audit
from volens.audit import Checkpoint, Event, NodeReader, VerifierKey
from volens.consent import InputError, ReceiptId, TamperError, parse_time
from volens.consent.errors import DamagedDataError
from volens.consent.json_reader import read_json
from volens.store.keys.secrets import Random
from volens.store.log.shard_report import NO_SHARDS, ShardReport
from volens.store.prepared_query import PreparedQuery, ReadSnapshot
from volens.store.schema import data_tables as tables

NEWEST: Final = PreparedQuery(select(func.max(tables.audit_event.c.seq)))
_NEWEST_LEAF: Final = PreparedQuery(
    select(tables.audit_event.c.leaf).order_by(tables.audit_event.c.seq.desc()).limit(1)
)
_SINCE: Final = PreparedQuery(select(tables.audit_event.c.leaf).where(tables.audit_event.c.seq >= bindparam("size")))
_node: Final = tables.audit_node.c


@final
@dataclass(frozen=True, slots=True)
class LogReport:
    """The result of a verification of the main log, or of what was added to it, and of its shards if they were too.

    Attributes:
        origin, size, root: the log's newest checkpoint; `note` is this checkpoint, signed.
        checkpoints, openings, kinds: numbers of what was verified.
        since: the number of leaves that were not read again, because an earlier checkpoint covers them.
        shards: those that were verified.
    """

    origin: str
    size: int
    root: bytes
    checkpoints: int
    openings: int
    kinds: Mapping[str, int] = field(default_factory=dict)
    since: int = 0
    note: str = ""
    shards: ShardReport = NO_SHARDS


def log_size(connection: Connection | ReadSnapshot) -> int:
    """Return the number of leaves. It grows with every recorded change, so it is also the store's generation."""
    ((newest,),) = NEWEST.rows(connection, {})
    return generation_of(newest)


def generation_of(newest: int | None) -> int:
    """Return the size of a log whose last leaf has this number; see `NEWEST`."""
    return 0 if newest is None else int(newest) + 1


def newest_time(connection: Connection | ReadSnapshot) -> datetime | None:
    """Return the time of the newest leaf; None if the log is empty.

    Raises:
        TamperError: the leaf is malformed.

    Not checked: whether it is canonical, as in `kinds_since`.
    """
    rows = _NEWEST_LEAF.rows(connection, {})
    try:
        return parse_time(read_json(rows[0][0])["at"]) if rows else None
    except (ValueError, KeyError, TypeError, InputError):
        raise DamagedDataError("the newest leaf of the audit log is malformed") from None


def kinds_since(connection: Connection | ReadSnapshot, size: int) -> set[str]:
    """Return the kinds of the events that were added since the log had this size.

    Raises:
        TamperError: a leaf is malformed.

    Not checked: whether a leaf is canonical, which costs five times as much; `verify_log` does that.
    """
    return kinds_of(leaf for (leaf,) in _SINCE.rows(connection, {"size": size}))


def kinds_of(leaves: Iterable[bytes]) -> set[str]:
    """Return the kinds of the events of leaves; see `kinds_since`."""
    try:
        return {str(read_json(leaf)["kind"]) for leaf in leaves}
    except (ValueError, KeyError, TypeError):
        raise DamagedDataError("a leaf of the audit log is malformed") from None


def node_reader(connection: Connection | ReadSnapshot, size: int = 0) -> NodeReader:
    """Return a function that reads stored nodes for proofs. It raises TamperError if a node is missing.

    The nodes that make the root of the first `size` leaves, and that the next leaf needs, are read with one query.
    """

    def stored(nodes: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        levels = {f"l{number}": level for number, (level, _position) in enumerate(nodes)}
        positions = {f"p{number}": position for number, (_level, position) in enumerate(nodes)}
        rows = _nodes_query(len(nodes)).rows(connection, levels | positions)
        return {(level, position): bytes(node) for level, position, node in rows}

    tops = [(level, (size >> level) - 1) for level in range(size.bit_length()) if size >> level & 1]
    known = stored(tops) if tops else {}

    def read(level: int, index: int, /) -> bytes:
        at = level, index
        node = known.get(at) or stored([at]).get(at)
        if node is None:
            raise DamagedDataError("a node of the audit log is missing")
        return node

    return read


@cache
def _nodes_query(count: int) -> PreparedQuery:
    """Return the query for so many nodes: those at the levels l0, l1, ... and the positions p0, p1, ..."""
    each = (
        and_(_node.level == bindparam(f"l{number}"), _node.position == bindparam(f"p{number}"))
        for number in range(count)
    )
    return PreparedQuery(select(_node.level, _node.position, _node.hash).where(or_(*each)))


def append(
    connection: Connection,
    kind: str,
    at: datetime,
    many_details: Sequence[Mapping[str, str | int]],
    *,
    receipt_id: ReceiptId | None,
    random: Random,
) -> list[tuple[int, Event]]:
    """Append one event, with its own leaf, for each of the details; return the leaves' indexes, and events with salts.

    The openings belong to `receipt_id` and are erased with that consent. Runs four statements in all.
    """
    if not many_details:
        return []
    first = log_size(connection)
    entries = [
        (index, Event(kind, at, details, random(audit.SALT_BYTES))) for index, details in enumerate(many_details, first)
    ]
    add_leaves(connection, first, [audit.leaf_bytes(event) for _index, event in entries])
    openings = [
        {
            "seq": index,
            "receipt_id": receipt_id,
            "details": rfc8785.dumps(dict(event.details)).decode("utf-8"),
            "salt": event.salt,
        }
        for index, event in entries
    ]
    connection.execute(insert(tables.audit_opening), openings)
    return entries


def add_leaves(connection: Connection, first: int, leaves: Sequence[bytes]) -> None:
    """Append leaves, at least one, with their tree nodes; `first` is the size of the log."""
    stored, fresh = node_reader(connection, first), dict[tuple[int, int], bytes]()

    def read(level: int, index: int, /) -> bytes:
        return fresh.get((level, index)) or stored(level, index)

    for index, leaf in enumerate(leaves, first):
        fresh.update({(level, at): node for level, at, node in audit.new_nodes(index, audit.leaf_hash(leaf), read)})
    nodes = [{"level": level, "position": position, "hash": node} for (level, position), node in fresh.items()]
    connection.execute(insert(tables.audit_event), [{"seq": at, "leaf": leaf} for at, leaf in enumerate(leaves, first)])
    connection.execute(insert(tables.audit_node), nodes)


def checkpoint(connection: Connection, origin: str) -> Checkpoint:
    """Return the head of the log in this transaction."""
    size = log_size(connection)
    return Checkpoint(origin, size, audit.root(size, node_reader(connection, size)))


def root_at(connection: Connection, size: int) -> bytes:
    """Return the root of the first `size` leaves; the log has at least as many."""
    return audit.root(size, node_reader(connection, size))


def add_note(connection: Connection, size: int, note: str) -> None:
    """Store a signed checkpoint."""
    connection.execute(insert(tables.audit_checkpoint).values(size=size, note=note))


def erase_openings(connection: Connection, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, int]:
    """Erase the openings of leaves about consents; the leaves stay, unreadable. Return how many each consent had."""
    about = tables.audit_opening.c.receipt_id.in_(list(receipt_ids))
    found = connection.execute(
        select(tables.audit_opening.c.receipt_id, func.count()).where(about).group_by(tables.audit_opening.c.receipt_id)
    ).all()
    connection.execute(delete(tables.audit_opening).where(about))
    return {ReceiptId(row[0]): int(row[1]) for row in found}


def entries_about_no_person(connection: Connection, kind: str | None = None) -> list[Event]:
    """Return the events that can be opened and are about no consent, oldest first, of one kind or of all.

    Events about a person are shown to that person only (`volens.rights.held_data`).

    Raises:
        TamperError: an opening does not match its leaf.
    """
    event, opening = tables.audit_event.c, tables.audit_opening.c
    query = select(event.leaf, opening.details, opening.salt).join_from(
        tables.audit_event, tables.audit_opening, event.seq == opening.seq
    )
    found = []
    for leaf, details, salt in connection.execute(query.where(opening.receipt_id.is_(None)).order_by(event.seq)):
        of_kind, _at = audit.read_leaf(leaf)
        if kind in {None, of_kind}:
            found.append(_opened(leaf, details, salt))
    return found


def _opened(leaf: bytes, details: str, salt: bytes) -> Event:
    kind, at = audit.read_leaf(leaf)
    try:
        opened = read_json(details)
        audit.open_leaf(leaf, opened, salt)
    except (ValueError, TypeError, AttributeError):
        raise DamagedDataError("an opening of the audit log does not match its leaf") from None
    return Event(kind, at, opened, salt)


def newest_time_of_kind(connection: Connection, kind: str, detail: str) -> datetime | None:
    """Return when the newest event of a kind was logged that has a detail of this name; None if there is none.

    Cost: the database searches every opening for the detail; a leaf, of which there are more, has no searchable text.

    Raises:
        TamperError: the leaf is malformed.
    """
    event, opening = tables.audit_event.c, tables.audit_opening.c
    query = select(event.leaf).join_from(tables.audit_event, tables.audit_opening, event.seq == opening.seq)
    has_detail = opening.details.contains(f'"{detail}":', autoescape=True)
    for leaf in connection.scalars(query.where(has_detail).order_by(event.seq.desc())):
        of_kind, at = audit.read_leaf(leaf)
        if of_kind == kind:
            return at
    return None


def has_entry(connection: Connection, details: Mapping[str, str | int]) -> bool:
    """Return whether an entry about no person has exactly these details. Cost: reads every opening."""
    opening = tables.audit_opening.c
    text = rfc8785.dumps(dict(details)).decode("utf-8")
    query = select(opening.seq).where(opening.receipt_id.is_(None), opening.details == text)
    return connection.scalar(query) is not None


def verify_log(connection: Connection, key: VerifierKey) -> LogReport:
    """Verify the whole log from the tables and the public key alone, as an independent auditor would.

    1. Every leaf is well formed; the tree is computed again from the leaves, not from stored nodes.
    2. Every stored node is the computed one.
    3. Every checkpoint is signed by the key, states the root of its leaves, and is consistent with the one before; the
       last covers the whole log.
    4. Every opening that exists opens its leaf.

    Raises:
        TamperError: any of the above does not hold.
    """
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int, /) -> bytes:
        return nodes[level, index]

    # 1.
    leaves: list[bytes] = []
    for index, leaf in _leaves(connection):
        leaves.append(leaf)
        nodes.update({(level, at): node for level, at, node in audit.new_nodes(index, audit.leaf_hash(leaf), read)})
    kinds = Counter(audit.read_leaf(leaf)[0] for leaf in leaves)
    # 2.
    stored = {(row.level, row.position): row.hash for row in connection.execute(select(tables.audit_node))}
    if stored != nodes:
        raise TamperError("integrity: the stored nodes of the audit log are not those of its leaves")
    # 3.
    count, note = _verify_checkpoints(connection, key, len(leaves), read)
    # 4.
    openings = 0
    for row in connection.execute(select(tables.audit_opening).order_by(tables.audit_opening.c.seq)):
        try:
            details = read_json(row.details)
            audit.open_leaf(leaves[row.seq], details, row.salt)
        except (ValueError, TypeError, AttributeError, IndexError):
            raise TamperError(f"integrity: the opening of leaf {row.seq} does not match it") from None
        openings += 1
    return LogReport(key.name, len(leaves), audit.root(len(leaves), read), count, openings, kinds, note=note)


def _leaves(connection: Connection) -> Iterator[tuple[int, bytes]]:
    rows = connection.execute(select(tables.audit_event).order_by(tables.audit_event.c.seq))
    for expected, row in enumerate(rows):
        if row.seq != expected:
            raise TamperError(f"integrity: leaf {expected} of the audit log is missing")
        yield expected, row.leaf


def _verify_checkpoints(connection: Connection, key: VerifierKey, size: int, read: NodeReader) -> tuple[int, str]:
    """Return the number of checkpoints, and the newest."""
    old = Checkpoint(key.name, 0, audit.root(0, read))
    count, note = 0, ""
    for row in connection.execute(select(tables.audit_checkpoint).order_by(tables.audit_checkpoint.c.size)):
        new = audit.open_checkpoint(row.note, key)
        if new.size != row.size or new.size > size:
            raise TamperError(f"integrity: the log has {size} leaves, a signed checkpoint states {new.size}")
        audit.verify_consistency(
            old.size, new.size, audit.consistency_proof(old.size, new.size, read), old.root, new.root
        )
        if audit.root(new.size, read) != new.root:
            raise TamperError(f"integrity: the first {new.size} leaves are not those of the signed checkpoint")
        old, count, note = new, count + 1, row.note
    if old.size != size:
        raise TamperError(f"integrity: the log has {size} leaves, the last signed checkpoint covers {old.size}")
    return count, note
