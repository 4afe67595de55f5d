"""Incremental verification of the log in the data file: reads the leaves after a checkpoint, and no earlier ones."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from volens.audit import Checkpoint, VerifierKey
from volens.audit.growth import LogGrowth
from volens.audit.tree import Node
from volens.consent import TamperError
from volens.consent.json_reader import read_json
from volens.store.log.audit_log import LogReport, log_size, node_reader
from volens.store.log.log_reading import heads_between, leaves_from, newest_head, nodes_from
from volens.store.schema import data_tables as tables

_BATCH: Final = 1000


def verify_log_from(connection: Connection, key: VerifierKey, start: Checkpoint) -> LogReport:
    """Verify what was added to the log since a checkpoint, from the tables and the public key alone.

    1. The log has the leaves of the checkpoint: their stored subtrees have its root.
    2. Every later leaf is well formed, and every stored node that it completes is the computed one.
    3. Every later checkpoint is signed by the key and states number and root of its leaves; the last covers the log.
    4. Every opening of a later leaf opens it.

    The caller has verified the signature of `start`. Cost: reads what is new, and O(log size) nodes.

    Raises:
        TamperError: any of the above does not hold.

    Not checked: leaves, nodes and openings of the time before the checkpoint; `verify_log` reads them all.
    """
    size = log_size(connection)
    # 1.
    growth = LogGrowth(start, size, node_reader(connection), key)
    for first in range(start.size, size, _BATCH):
        count = min(_BATCH, size - first)
        leaves = leaves_from(connection, first, count)
        if len(leaves) != count:
            raise TamperError(f"integrity: a leaf after leaf {first} of the audit log is missing")
        heads = heads_between(connection, first + 1, first + count)
        made = list[Node]()
        for leaf in leaves:
            # 2.
            made += growth.add(leaf)
            # 3.
            if growth.size in heads:
                growth.add_checkpoint(heads[growth.size])
        _check_nodes(connection, made)
        # 4.
        _check_openings(connection, growth, first, leaves)
    head, newest = growth.end(), newest_head(connection)
    if newest.size != size:
        raise TamperError(f"integrity: the log has {size} leaves, a signed checkpoint states {newest.size}")
    return LogReport(
        head.origin, size, head.root, growth.checkpoints, growth.openings, growth.kinds, start.size, newest.note
    )


def _check_nodes(connection: Connection, made: Sequence[Node]) -> None:
    by_level: dict[int, list[tuple[int, bytes]]] = {}
    for level, index, value in made:
        by_level.setdefault(level, []).append((index, value))
    for level, computed in by_level.items():
        if nodes_from(connection, level, computed[0][0], len(computed)) != [value for _, value in computed]:
            raise TamperError("integrity: the stored nodes of the audit log are not those of its leaves")


def _check_openings(connection: Connection, growth: LogGrowth, first: int, leaves: Sequence[bytes]) -> None:
    opening = tables.audit_opening.c
    query = select(opening.seq, opening.details, opening.salt).where(
        opening.seq >= first, opening.seq < first + len(leaves)
    )
    for row in connection.execute(query.order_by(opening.seq)):
        try:
            growth.add_opening(leaves[row.seq - first], read_json(row.details), row.salt)
        except (ValueError, TypeError, AttributeError):
            raise TamperError(f"integrity: the opening of leaf {row.seq} does not match it") from None
