"""Copies all rows of one database into another that has no rules yet, whichever engines they are of."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, MetaData, func, insert, select

from volens.store.engine import StoreEngine

_BATCH: Final = 500


def copy_rows(source: Connection, target: Connection, metadata: MetaData, progress: Callable[[int, int], None]) -> None:
    """Insert the rows of every table, in an order in which references are there before what refers to them.

    `source` is inside one snapshot, `target` inside the transaction that made its tables. `progress` gets how many rows
    are copied, of how many. Not checked here: that the rows obey the rules; an opening reads and verifies them.
    """
    tables = metadata.sorted_tables
    total = sum(int(source.scalar(select(func.count()).select_from(one)) or 0) for one in tables)
    done = 0
    for table in tables:
        rows = source.execute(select(table).order_by(*table.primary_key).execution_options(yield_per=_BATCH))
        for batch in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in batch])
            done += len(batch)
            progress(done, total)


def copy_ids(
    source: StoreEngine, source_snapshot: Connection, target: StoreEngine, written: Connection, metadata: MetaData
) -> None:
    """Let the target give out no id that a row of the source ever had."""
    for table in metadata.sorted_tables:
        if (column := table.autoincrement_column) is not None:
            highest = int(source_snapshot.scalar(select(func.max(column))) or 0)
            last = max(source.last_id(source_snapshot, table), highest)
            given = target.last_id(written, table)
            if last > given:
                target.skip_ids(written, table, last - given)
