"""Jobs: long-running work that a caller starts over HTTP, with its progress and its result. Kept for 30 days.

The work itself, and its continuation after a crash, is done by the procedure that the job calls; here is only its
status. A job whose process died is reported as cut off.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, final

from sqlalchemy import delete, insert, select, update

from volens.consent import UnknownError
from volens.consent.json_reader import read_json
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import job as table
from volens.store.store import Store

KEPT_FOR: Final = timedelta(days=30)
CUT_OFF_AFTER: Final = timedelta(minutes=1)
"""A running job reports progress more often than this; without a report it counts as cut off."""

_ID_BYTES: Final = 16


class JobKind(StrEnum):
    """The kind of work."""

    SWEEP = "sweep"
    """Erase expired consents, finish begun erasures."""
    VERIFY_LOG = "verify_log"
    """Check every leaf, node and signature of the audit log."""
    ERASE = "erase"
    """Carry out a plan of an erasure by order."""


class JobState(StrEnum):
    """The state of a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CUT_OFF = "cut_off"
    """The process ended before the job. Erasures continue at the next opening; starting the job again continues it."""


@final
@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Attributes:
        done: progress, out of `total`; 0 of 0 while the total is unknown.
        outcome: the result in numbers, or a problem's ``kind`` and ``detail``; None while it runs.
    """

    seq: int
    job_id: str
    kind: JobKind
    credential_id: str
    state: JobState
    done: int
    total: int
    outcome: Mapping[str, Any] | None
    begun_at: datetime


@final
class Jobs:
    """The jobs of a site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, kind: JobKind, credential_id: str) -> Job:
        """Record that a job begins. Jobs older than `KEPT_FOR` are deleted."""
        with self._store.write() as tx:
            outdated = table.c.seen_at < tx.now - KEPT_FOR
            tx.ending(Scope.JOB, tx.connection.scalars(select(table.c.job_id).where(outdated)).all())
            tx.connection.execute(delete(table).where(outdated))
            job_id = tx.random(_ID_BYTES).hex()
            with tx.changing(Scope.JOB, [job_id]):
                tx.connection.execute(
                    insert(table).values(
                        job_id=job_id,
                        kind=kind.value,
                        credential_id=credential_id,
                        state=JobState.RUNNING.value,
                        done=0,
                        total=0,
                        begun_at=tx.now,
                        seen_at=tx.now,
                    )
                )
                tx.log("job.begun", {"job_id": job_id, "kind": kind.value, "credential": credential_id})
        return self.get(job_id)

    def advance(self, job_id: str, done: int, total: int) -> None:
        """Record the progress of a job. A job that has ended is not changed."""
        with self._store.write() as tx:
            tx.connection.execute(_running(job_id).values(done=done, total=total, seen_at=tx.now))

    def end(self, job_id: str, state: JobState, outcome: Mapping[str, Any]) -> None:
        """Record how a job ended. `outcome` holds numbers and fixed words, nothing about a person."""
        with self._store.write() as tx:
            result = json.dumps(dict(outcome))
            with tx.changing(Scope.JOB, [job_id]):
                tx.connection.execute(_running(job_id).values(state=state.value, outcome=result, seen_at=tx.now))
                tx.log("job.ended", {"job_id": job_id, "state": state.value})

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            InputError: there is no job of this id, or it was deleted.
            TamperError: its row was changed by another program.
        """
        with self._store.read() as connection:
            self._store.seals.verified(connection, Scope.JOB, [job_id])
            row = connection.execute(select(table).where(table.c.job_id == job_id)).one_or_none()
        if row is None:
            raise UnknownError("there is no job of this id; jobs are kept for 30 days")
        return self._job(row)

    def list(self, most: int, before: int | None = None) -> list[Job]:
        """Return at most `most` jobs, the newest first; with `before`, only those with a smaller `seq`.

        Raises:
            TamperError: the row of one was changed by another program.
        """
        query = select(table).order_by(table.c.seq.desc()).limit(most)
        with self._store.read() as connection:
            rows = connection.execute(query if before is None else query.where(table.c.seq < before)).all()
            self._store.seals.verified(connection, Scope.JOB, [row.job_id for row in rows])
        return [self._job(row) for row in rows]

    def _job(self, row: Any) -> Job:  # noqa: ANN401  SQLAlchemy's row has no narrower type
        state = JobState(row.state)
        if state is JobState.RUNNING and self._store.now() - row.seen_at > CUT_OFF_AFTER:
            state = JobState.CUT_OFF
        outcome = None if row.outcome is None else read_json(row.outcome)
        kind = JobKind(row.kind)
        return Job(row.seq, row.job_id, kind, row.credential_id, state, row.done, row.total, outcome, row.begun_at)


def _running(job_id: str) -> Any:  # noqa: ANN401  SQLAlchemy's update has no narrower type that two versions share
    return update(table).where(table.c.job_id == job_id, table.c.state == JobState.RUNNING.value)
