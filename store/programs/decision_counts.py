"""Decisions about who may in, as the audit log keeps them: each match that begins a passage, and the rest by number.

* ``door.matched``: somebody was known. In the transaction of the passage; opens for as long as that is kept, and never
  after the consent has ended (`volens.store.people.passages`).
* ``decisions.counted``: what one caller asked in some minutes, how often, and what was decided. No person is in it.
  Faces are counted only in zones that keep a history, and as long as that: in a zone of few people a number by the
  minute would be one.
* ``service.started`` and ``service.ended``: between them nothing is missing. After a start without an end, the counts
  of the last minute are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from sqlalchemy import select

from volens.consent import Purpose, format_time
from volens.store.schema import data_tables as tables
from volens.store.store import Store

COUNTED: Final = "decisions.counted"
STARTED: Final = "service.started"
ENDED: Final = "service.ended"
COUNTS_KEPT: Final = timedelta(days=365)
"""How long it can be read who was refused how often. The leaves stay."""


@final
@dataclass(frozen=True, slots=True)
class Counted:
    """What one caller asked of one operation in a span of time.

    Attributes:
        caller: as logs know them; ``none`` for those who showed nothing that is in force.
        zone: the caller's only zone; None for all.
        answers: how they were answered, and how often.
        faces: what was decided about faces, and about how many.
    """

    caller: str
    zone: Purpose | None
    operation: str
    answers: Mapping[str, int]
    faces: Mapping[str, int]


@final
class DecisionLog:
    """Writes a service's decisions into a site's log."""

    def __init__(self, store: Store) -> None:
        """Work on an open store."""
        self._store = store

    def now(self) -> datetime:
        """Return the time, UTC, whole seconds."""
        return self._store.now()

    def started(self, run: str) -> None:
        """Log that a service begins to answer; `run` tells one start from another."""
        with self._store.write() as tx:
            tx.log(STARTED, {"run": run})

    def ended(self, run: str) -> None:
        """Log that it has answered everything, and counted it."""
        with self._store.write() as tx:
            tx.log(ENDED, {"run": run})

    def counted(self, run: str, begin: datetime, end: datetime, counts: Sequence[Counted]) -> None:
        """Log what was decided from one time to another, a leaf for each caller and operation, in one transaction."""
        if not counts:
            return
        with self._store.write() as tx:
            query = select(tables.zone.c.purpose, tables.zone.c.match_history_days)
            history: dict[str | None, int] = {
                row.purpose: row.match_history_days for row in tx.connection.execute(query)
            }
            by_term: dict[timedelta, list[dict[str, str | int]]] = {}
            span = {"run": run, "from": format_time(begin), "to": format_time(end)}
            for one in counts:
                days = history.get(one.zone, 0)
                faces = one.faces if days else {}
                details: dict[str, str | int] = {**span, "caller": one.caller, "operation": one.operation}
                details |= {} if one.zone is None else {"zone": one.zone}
                details |= {f"answers_{name}": number for name, number in one.answers.items()}
                details |= {f"faces_{name}": number for name, number in faces.items()}
                by_term.setdefault(timedelta(days=days) if faces else COUNTS_KEPT, []).append(details)
            for term, many in by_term.items():
                tx.log_all(COUNTED, many, ends_at=tx.now + term)
