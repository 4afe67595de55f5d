"""Processes that serve a site: their heartbeats, and what of the store each has applied in memory.

That is the generation, the size of the audit log, which grows with every recorded change; and the epoch of the store
key, which every erasure changes. Rows are about processes, never about
people; they are added and deleted without an entry in the log. They grant nothing, so they have no seal.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final, final

from sqlalchemy import delete, insert, select, update

from volens.store.log.audit_log import log_size
from volens.store.programs.clock_exchange import ClockOffset, measure_offset
from volens.store.programs.door_reports import quarter_of
from volens.store.rollout import SILENT
from volens.store.schema.data_tables import REVISIONS
from volens.store.schema.data_tables import process as table
from volens.store.store import Store

TURN: Final = timedelta(minutes=10)
"""How long one process does the chores of the site, before the next one does."""

_FORGOTTEN: Final = timedelta(minutes=10)


@final
@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process that serves the site: the columns of its row, and its lag.

    Attributes:
        process_id: random, 16 hexadecimal digits; new at each start.
        generation: the generation that it has applied.
        key_epoch: the epoch of the store key that it holds; it has zeroed the older ones.
        galleries: how many galleries it holds in memory.
        version: of the program.
        revision: the newest schema revision that its program knows.
        certificate_until: when the TLS certificate ends that it serves with; None without one.
        decided_at: when it last decided about a face, rounded down to a quarter of an hour; None if it did not.
        lag: the age of its last report if it is behind the newest commit; zero if it is not.
        offset_ms: of its clock from that of the database server; None: the database is a file of its machine.
    """

    process_id: str
    started_at: datetime
    seen_at: datetime
    generation: int
    key_epoch: int
    galleries: int
    version: str
    revision: str
    certificate_until: datetime | None
    decided_at: datetime | None
    lag: timedelta
    offset_ms: int | None = None
    uncertainty_ms: int | None = None

    @property
    def offset(self) -> ClockOffset | None:
        """The offset of its clock from that of the database server; None if both are one clock, or none is known."""
        if self.offset_ms is None or self.uncertainty_ms is None:
            return None
        return ClockOffset(self.offset_ms, self.uncertainty_ms)


@final
class Processes:
    """The processes that serve the site now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def report(
        self,
        process_id: str,
        started_at: datetime,
        generation: int,
        galleries: int,
        *,
        certificate_until: datetime | None = None,
        decided_at: datetime | None = None,
    ) -> None:
        """Record a heartbeat of this process, and what it has applied; delete processes silent for long.

        `certificate_until` is fixed when a process starts. If the database is on a server, its time is asked for.

        Raises:
            UnavailableError: the store cannot be written now; nothing was recorded.
        """
        remote = self._store.data.remote
        offset = None if remote is None else measure_offset(self._store.clock, time.monotonic, remote.clock_ms)
        with self._store.write(wait=False) as tx:
            # A clock that was set back must not make the database refuse the row.
            values = {
                "seen_at": max(tx.now, started_at),
                "generation": generation,
                "key_epoch": self._store.keyring.epoch,
                "galleries": galleries,
                "offset_ms": None if offset is None else offset.offset_ms,
                "uncertainty_ms": None if offset is None else offset.uncertainty_ms,
                "decided_at": None if decided_at is None else quarter_of(decided_at),
            }
            known = update(table).where(table.c.process_id == process_id).values(values)
            if not tx.connection.execute(known).rowcount:
                fixed = {"process_id": process_id, "started_at": started_at, "certificate_until": certificate_until}
                fixed |= {"version": version("volens"), "revision": REVISIONS[-1]}
                tx.connection.execute(insert(table).values(fixed | values))
            tx.connection.execute(delete(table).where(table.c.seen_at < tx.now - _FORGOTTEN))

    def leave(self, process_id: str) -> None:
        """Record that a process ends.

        Raises:
            UnavailableError: the store cannot be written now; the process will count as dead soon.
        """
        with self._store.write(wait=False) as tx:
            tx.connection.execute(delete(table).where(table.c.process_id == process_id))

    def running(self) -> list[RunningProcess]:
        """Return the processes with a heartbeat within `SILENT`, the oldest first."""
        now = self._store.now()
        query = select(table).where(table.c.seen_at >= now - SILENT).order_by(table.c.started_at, table.c.process_id)
        with self._store.read() as connection:
            newest, rows = log_size(connection), connection.execute(query).all()
        return [
            RunningProcess(
                **row._asdict(), lag=max(timedelta(), now - row.seen_at) if row.generation < newest else timedelta()
            )
            for row in rows
        ]

    def has_turn(self) -> bool:
        """Return whether this process does a chore of the site now, which is needed once: all take turns of `TURN`.

        If no process has reported, it does. Not exclusive: two may both have it where their clocks differ, so that a
        chore must do no harm if it is done twice.
        """
        running = [one.process_id for one in self.running()]
        turn = int(self._store.now().timestamp() / TURN.total_seconds())
        return not running or running[turn % len(running)] == self._store.process_id

    def last_reported(self) -> list[str]:
        """Return the ids of the other processes that reported within `SILENT` of the newest report, however old it is.

        While nothing can be written, processes report no more, and may run all the same.
        """
        with self._store.read() as connection:
            rows = connection.execute(select(table.c.process_id, table.c.seen_at)).all()
        newest = max((row.seen_at for row in rows), default=None)
        own = self._store.process_id
        return [row.process_id for row in rows if newest - row.seen_at <= SILENT and row.process_id != own]

    def others(self) -> list[RunningProcess]:
        """Return the running processes other than this one."""
        return [one for one in self.running() if one.process_id != self._store.process_id]
