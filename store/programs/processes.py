"""The processes that serve a site, and the generation of the store that each has applied to what it holds in memory.

A generation is the size of the audit log: it grows with every recorded change. Rows are about processes, never about
people; they come and go without a trace in the log.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from volens.store.log.audit_log import log_size
from volens.store.schema.schema_processes import process as table
from volens.store.store import Store

SILENT: Final = timedelta(seconds=15)
"""Who has not reported for so long is taken for dead. Whoever lives reports more often, also when nothing happens."""

_FORGOTTEN: Final = timedelta(minutes=10)


@final
@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process that serves the site.

    Attributes:
        process_id: random, 16 hexadecimal digits; another at each start.
        generation: that it has applied.
        galleries: that it holds.
        lag: how long ago it reported, if it has not applied everything that is committed; nothing if it has.
    """

    process_id: str
    started_at: datetime
    seen_at: datetime
    generation: int
    galleries: int
    lag: timedelta


@final
class Processes:
    """Who serves the site now."""

    def __init__(self, store: Store) -> None:
        """Work on an open store."""
        self._store = store

    def report(self, process_id: str, started_at: datetime, generation: int, galleries: int) -> None:
        """Note that a process lives and what it has applied; forget those that have not been heard of for long.

        Raises:
            UnavailableError: the store cannot be written just now; nothing was noted.
        """
        with self._store.write(wait=False) as tx:
            # A clock that was set back is no reason to be refused.
            told = {"seen_at": max(tx.now, started_at), "generation": generation, "galleries": galleries}
            row = insert(table).values(process_id=process_id, started_at=started_at, **told)
            tx.connection.execute(row.on_conflict_do_update(index_elements=["process_id"], set_=told))
            tx.connection.execute(delete(table).where(table.c.seen_at < tx.now - _FORGOTTEN))

    def leave(self, process_id: str) -> None:
        """Note that a process ends.

        Raises:
            UnavailableError: the store cannot be written just now; it will be taken for dead soon.
        """
        with self._store.write(wait=False) as tx:
            tx.connection.execute(delete(table).where(table.c.process_id == process_id))

    def running(self) -> list[RunningProcess]:
        """Return the processes that have reported lately, the oldest first."""
        now = self._store.now()
        query = select(table).where(table.c.seen_at >= now - SILENT).order_by(table.c.started_at, table.c.process_id)
        with self._store.read() as connection:
            newest, rows = log_size(connection), connection.execute(query).all()
        return [
            RunningProcess(
                row.process_id,
                row.started_at,
                row.seen_at,
                row.generation,
                row.galleries,
                max(timedelta(), now - row.seen_at) if row.generation < newest else timedelta(),
            )
            for row in rows
        ]

    def others(self) -> list[RunningProcess]:
        """Return those that are not this process."""
        return [one for one in self.running() if one.process_id != self._store.process_id]
