"""The audit log in the data file: leaves and nodes that stay, openings that are erased with the person."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, final

import rfc8785
from sqlalchemy import Connection, Text, bindparam, cast, delete, func, insert, literal_column, select

from volens.audit import (
    SALT_BYTES,
    Checkpoint,
    Event,
    NodeReader,
    VerifierKey,
    consistency_proof,
    leaf_bytes,
    leaf_hash,
    new_nodes,
    open_checkpoint,
    open_leaf,
    read_leaf,
    root,
    verify_consistency,
)
from volens.consent import ReceiptId, TamperError
from volens.store.keys.secrets import Random
from volens.store.schema import data_tables as tables
from volens.store.sqlite.prepared_query import Glance, PreparedQuery

ZONE_ADDED: Final = "zone.added"

_NEWEST: Final = PreparedQuery(select(func.max(tables.audit_event.c.seq)))
_KINDS: Final = PreparedQuery(
    select(func.json_extract(cast(tables.audit_event.c.leaf, Text), literal_column("'$.kind'")))
    .where(tables.audit_event.c.seq >= bindparam("size"))
    .distinct()
)
_NODE: Final = select(tables.audit_node.c.hash).where(
    tables.audit_node.c.level == bindparam("at_level"), tables.audit_node.c.position == bindparam("at_position")
)


@final
@dataclass(frozen=True, slots=True)
class LogReport:
    """What a verification of the whole log found."""

    origin: str
    size: int
    root: bytes
    checkpoints: int
    openings: int
    kinds: Mapping[str, int] = field(default_factory=dict)


def log_size(connection: Connection | Glance) -> int:
    """Return the number of leaves; it grows with every recorded change, so it also serves as a generation."""
    ((newest,),) = _NEWEST.rows(connection, {})
    return 0 if newest is None else int(newest) + 1


def kinds_since(connection: Connection, size: int) -> set[str]:
    """Return the kinds of the events that followed when the log had this size."""
    return {str(kind) for (kind,) in _KINDS.rows(connection, {"size": size})}


def node_reader(connection: Connection) -> NodeReader:
    """Return a reader of stored nodes for proofs.

    The reader raises TamperError where a node is missing.
    """

    def read(level: int, index: int, /) -> bytes:
        value = connection.scalar(_NODE, {"at_level": level, "at_position": index})
        if value is None:
            raise TamperError("integrity: a node of the audit log is missing; restore the data file")
        return bytes(value)

    return read


def append(
    connection: Connection,
    kind: str,
    at: datetime,
    details: Mapping[str, str | int],
    *,
    receipt_id: ReceiptId | None,
    random: Random,
    ends_at: datetime | None = None,
) -> tuple[int, Event]:
    """Append one event; its opening is tied to `receipt_id` and dies with that consent, at the latest after `ends_at`.

    Returns:
        The leaf's index, and the event with its salt.
    """
    (entry,) = append_all(connection, kind, at, [details], receipt_id=receipt_id, random=random, ends_at=ends_at)
    return entry


def append_all(
    connection: Connection,
    kind: str,
    at: datetime,
    many_details: Sequence[Mapping[str, str | int]],
    *,
    receipt_id: ReceiptId | None,
    random: Random,
    ends_at: datetime | None = None,
) -> list[tuple[int, Event]]:
    """Append one event for each of the details, a leaf of its own each; see `append`. Four statements for all."""
    if not many_details:
        return []
    stored, fresh = node_reader(connection), dict[tuple[int, int], bytes]()

    def read(level: int, index: int, /) -> bytes:
        return fresh.get((level, index)) or stored(level, index)

    first = log_size(connection)
    entries = [
        (index, Event(kind, at, details, random(SALT_BYTES))) for index, details in enumerate(many_details, first)
    ]
    leaves = [leaf_bytes(event) for _index, event in entries]
    for index, leaf in enumerate(leaves, first):
        fresh.update({(level, at): node for level, at, node in new_nodes(index, leaf_hash(leaf), read)})
    nodes = [{"level": level, "position": position, "hash": node} for (level, position), node in fresh.items()]
    openings = [
        {
            "seq": index,
            "receipt_id": receipt_id,
            "details": rfc8785.dumps(dict(event.details)).decode("utf-8"),
            "salt": event.salt,
        }
        for index, event in entries
    ]
    connection.execute(insert(tables.audit_event), [{"seq": at, "leaf": leaf} for at, leaf in enumerate(leaves, first)])
    connection.execute(insert(tables.audit_node), nodes)
    connection.execute(insert(tables.audit_opening), openings)
    if ends_at is not None:
        connection.execute(insert(tables.opening_term), [{"seq": index, "ends_at": ends_at} for index, _ in entries])
    return entries


def checkpoint(connection: Connection, origin: str) -> Checkpoint:
    """Return the head of the log as it is in this transaction."""
    size = log_size(connection)
    return Checkpoint(origin, size, root(size, node_reader(connection)))


def root_at(connection: Connection, size: int) -> bytes:
    """Return the root of the first `size` leaves, of as many or more."""
    return root(size, node_reader(connection))


def add_note(connection: Connection, size: int, note: str) -> None:
    """Keep a signed checkpoint."""
    connection.execute(insert(tables.audit_checkpoint).values(size=size, note=note))


def forget(connection: Connection, receipt_id: ReceiptId) -> int:
    """Erase what opens the leaves about one consent; the leaves stay, and say nothing more."""
    return forget_all(connection, [receipt_id]).get(receipt_id, 0)


def forget_all(connection: Connection, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, int]:
    """Do the same for many consents; return how many openings each had, where there were any."""
    about = tables.audit_opening.c.receipt_id.in_(list(receipt_ids))
    found = connection.execute(
        select(tables.audit_opening.c.receipt_id, func.count()).where(about).group_by(tables.audit_opening.c.receipt_id)
    ).all()
    connection.execute(delete(tables.audit_opening).where(about))
    return {ReceiptId(row[0]): int(row[1]) for row in found}


def forget_outlived(connection: Connection, now: datetime) -> int:
    """Erase the openings whose time is over; return how many."""
    over = select(tables.opening_term.c.seq).where(tables.opening_term.c.ends_at < now)
    return connection.execute(delete(tables.audit_opening).where(tables.audit_opening.c.seq.in_(over))).rowcount


def entries_about_nobody(connection: Connection, kind: str | None = None) -> list[Event]:
    """Return the events that can be opened and are about no consent, oldest first; of one kind, or of all.

    What is about a person is told to that person only (`volens.rights.held_data`).

    Raises:
        TamperError: an opening is not that of its leaf.
    """
    event, opening = tables.audit_event.c, tables.audit_opening.c
    query = select(event.leaf, opening.details, opening.salt).join_from(
        tables.audit_event, tables.audit_opening, event.seq == opening.seq
    )
    found = []
    for leaf, details, salt in connection.execute(query.where(opening.receipt_id.is_(None)).order_by(event.seq)):
        of_kind, at = read_leaf(leaf)
        if kind in {None, of_kind}:
            try:
                said = json.loads(details)
                open_leaf(leaf, said, salt)
            except (ValueError, TypeError, AttributeError):
                raise TamperError("integrity: an opening of the audit log is not one") from None
            found.append(Event(of_kind, at, said, salt))
    return found


def verify_log(connection: Connection, key: VerifierKey) -> LogReport:
    """Verify the whole log as a stranger would, who has the tables and the public key.

    1. Every leaf is well formed; the tree is computed again from the leaves, not from stored nodes.
    2. Every stored node is the computed one.
    3. Every checkpoint is signed by the key, states a root that the leaves give, and each is consistent with the one
       before; the last covers the whole log.
    4. Every opening that is left opens its leaf.
    5. Every zone whose leaf opens asks for what it was declared to ask for besides the face.

    Raises:
        TamperError: any of the above does not hold.
    """
    nodes: dict[tuple[int, int], bytes] = {}
    kinds: dict[str, int] = {}

    def read(level: int, index: int, /) -> bytes:
        return nodes[level, index]

    # 1.
    leaves: list[bytes] = []
    for index, leaf in _leaves(connection):
        kind, _at = read_leaf(leaf)
        kinds[kind] = kinds.get(kind, 0) + 1
        leaves.append(leaf)
        nodes.update({(level, at): node for level, at, node in new_nodes(index, leaf_hash(leaf), read)})
    # 2.
    stored = {(row.level, row.position): row.hash for row in connection.execute(select(tables.audit_node))}
    if stored != nodes:
        raise TamperError("integrity: the stored nodes of the audit log are not those of its leaves")
    # 3.
    count = _verify_checkpoints(connection, key, len(leaves), read)
    # 4.
    openings = 0
    declared: dict[str, str] = {}
    for row in connection.execute(select(tables.audit_opening).order_by(tables.audit_opening.c.seq)):
        try:
            details = json.loads(row.details)
            kind, _at = open_leaf(leaves[row.seq], details, row.salt)
        except (ValueError, TypeError, AttributeError, IndexError):
            raise TamperError(f"integrity: the opening of leaf {row.seq} is not one") from None
        if kind == ZONE_ADDED:
            declared.setdefault(details["zone"], details.get("second_factor", "none"))
        openings += 1
    # 5.
    for zone in connection.execute(select(tables.zone.c.purpose, tables.zone.c.second_factor)):
        if declared.get(zone.purpose, zone.second_factor) != zone.second_factor:
            raise TamperError(
                f"integrity: zone {zone.purpose!r} asks for something else besides the face than it was declared to; "
                "restore the data file"
            )
    return LogReport(key.name, len(leaves), root(len(leaves), read), count, openings, kinds)


def _leaves(connection: Connection) -> Iterator[tuple[int, bytes]]:
    rows = connection.execute(select(tables.audit_event).order_by(tables.audit_event.c.seq))
    for expected, row in enumerate(rows):
        if row.seq != expected:
            raise TamperError(f"integrity: leaf {expected} of the audit log is missing")
        yield expected, row.leaf


def _verify_checkpoints(connection: Connection, key: VerifierKey, size: int, read: NodeReader) -> int:
    old = Checkpoint(key.name, 0, root(0, read))
    count = 0
    for row in connection.execute(select(tables.audit_checkpoint).order_by(tables.audit_checkpoint.c.size)):
        new = open_checkpoint(row.note, key)
        if new.size != row.size or new.size > size:
            raise TamperError(f"integrity: the log has {size} leaves, a signed checkpoint states {new.size}")
        verify_consistency(old.size, new.size, consistency_proof(old.size, new.size, read), old.root, new.root)
        if root(new.size, read) != new.root:
            raise TamperError(f"integrity: the first {new.size} leaves are not those of the signed checkpoint")
        old, count = new, count + 1
    if old.size != size:
        raise TamperError(f"integrity: the log has {size} leaves, the last signed checkpoint covers {old.size}")
    return count
