"""Shards of the audit log whose term is over: they are closed when their month ends, and then deleted as a whole.

1. Shards are closed whose month is over; the main log states their size and root.
2. Shards whose term is over are announced in the main log, and then deleted in batches, so that no door waits.

The database refuses a deletion before the term (`volens.store.schema.shard_tables`). A process that is killed leaves a
part of a shard, which the next sweep deletes.
"""

from typing import Final

from sqlalchemy import delete, select

from volens.audit.shard import SHARD_DELETED, SHARD_OPENED
from volens.store import Store
from volens.store.log import check_logged
from volens.store.log.shard_log import opening_details
from volens.store.schema import data_tables as tables

_BATCH: Final = 5000
_shard, _leaf, _opening = tables.log_shard.c, tables.shard_leaf.c, tables.shard_opening.c


def delete_ended_shards(store: Store) -> int:
    """Close and delete shards as the module says; return how many were deleted.

    Raises:
        TamperError: the term of a shard is not the one in the main log; it is not deleted.
    """
    over = select(tables.log_shard).where(_shard.closed_index.is_not(None), _shard.kept_until < store.now())
    with store.write() as tx:
        # 1.
        tx.shards.close_over(tx.now)
        # 2.
        due = tx.connection.execute(over.order_by(_shard.log_index)).all()
        for row in due:
            facts = opening_details(row.name, row.ends_at, row.kept_until)
            check_logged(tx.connection, store.keyring, row.log_index, (SHARD_OPENED,), facts)
        if due:
            tx.log(SHARD_DELETED, {"shards": len(due)})
    for row in due:
        _delete(store, row.log_index)
    return len(due)


def _delete(store: Store, shard: int) -> None:
    last = select(_leaf.seq).where(_leaf.shard == shard).order_by(_leaf.seq).offset(_BATCH - 1).limit(1)
    while True:
        with store.write() as tx:
            end = tx.connection.scalar(last)
            for table in (tables.shard_opening, tables.shard_leaf):
                rows = delete(table).where(table.c.shard == shard)
                tx.connection.execute(rows if end is None else rows.where(table.c.seq <= end))
            if end is None:
                tx.connection.execute(delete(tables.log_shard).where(_shard.log_index == shard))
                return
