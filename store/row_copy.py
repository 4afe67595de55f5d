"""Copies all rows of one database into another that has no rules yet, whichever engines they are of."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, MetaData, Row, Table, func, insert, select

from volens.store.engine import StoreEngine

_BATCH: Final = 500


def copy_rows(source: Connection, target: Connection, metadata: MetaData, progress: Callable[[int, int], None]) -> None:
    """Insert the rows of every table, in an order in which references are there before what refers to them.

    `source` is inside one snapshot, `target` inside the transaction that made its tables. `progress` gets how many rows
    are copied, of how many. Not checked here: that the rows obey the rules; an opening reads and verifies them.
    """
    total, done = row_count(source, metadata), 0
    for table in metadata.sorted_tables:
        for batch in row_batches(source, table):
            target.execute(insert(table), [row._asdict() for row in batch])
            done += len(batch)
            progress(done, total)


def row_count(connection: Connection, metadata: MetaData) -> int:
    """Return how many rows all tables have together."""
    return sum(int(connection.scalar(select(func.count()).select_from(one)) or 0) for one in metadata.sorted_tables)


def row_batches(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    """Yield all rows of a table, in the order of the primary key; memory does not grow with the table."""
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=_BATCH)
    return connection.execute(query).partitions()


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
