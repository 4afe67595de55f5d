"""Reading the audit log row by row, for those who publish or export it: leaves, nodes, openings, signed checkpoints."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from volens.consent.errors import DamagedDataError
from volens.consent.json_reader import read_json
from volens.store.schema import data_tables as tables

_event, _node, _opening, _note = (
    tables.audit_event.c,
    tables.audit_node.c,
    tables.audit_opening.c,
    tables.audit_checkpoint.c,
)


class SignedHead(NamedTuple):
    """A stored checkpoint: the size of the log that it covers, and the signed note."""

    size: int
    note: str


def newest_head(connection: Connection, at_most: int | None = None) -> SignedHead:
    """Return the newest checkpoint, or the newest that covers at most so many leaves; if there is none, the first."""
    heads = select(_note.size, _note.note)
    covered = heads if at_most is None else heads.where(_note.size <= at_most)
    row = connection.execute(covered.order_by(_note.size.desc()).limit(1)).one_or_none()
    return SignedHead(*(row or connection.execute(heads.order_by(_note.size).limit(1)).one()))


def heads_between(connection: Connection, first: int, last: int) -> Mapping[int, str]:
    """Return the notes of the checkpoints that cover `first` to `last` leaves, by size."""
    rows = connection.execute(select(_note.size, _note.note).where(_note.size >= first, _note.size <= last))
    return {row.size: row.note for row in rows}


def leaves_from(connection: Connection, start: int, count: int) -> list[bytes]:
    """Return up to `count` leaves from leaf `start`; fewer or none at the end of the log."""
    query = select(_event.leaf).where(_event.seq >= start).order_by(_event.seq).limit(count)
    return [bytes(leaf) for leaf in connection.scalars(query)]


def nodes_from(connection: Connection, level: int, start: int, count: int) -> list[bytes]:
    """Return `count` hashes of one level of the tree, from position `start`.

    Raises:
        TamperError: a node is missing.
    """
    within = (_node.level == level, _node.position >= start, _node.position < start + count)
    hashes = [bytes(one) for one in connection.scalars(select(_node.hash).where(*within).order_by(_node.position))]
    if len(hashes) != count:
        raise DamagedDataError("a node of the audit log is missing")
    return hashes


def openings_about_no_consent(connection: Connection, start: int, count: int) -> Mapping[int, tuple[Any, bytes]]:
    """Return details and salt of the leaves from `start` that can be opened and are about no consent, by index.

    Raises:
        TamperError: an opening is not JSON.

    Not checked: whether an opening matches its leaf; see `volens.audit.open_leaf`.
    """
    query = select(_opening.seq, _opening.details, _opening.salt).where(
        _opening.seq >= start, _opening.seq < start + count, _opening.receipt_id.is_(None)
    )
    try:
        return {row.seq: (read_json(row.details), bytes(row.salt)) for row in connection.execute(query)}
    except ValueError:
        raise DamagedDataError("an opening of the audit log is malformed") from None
