"""Counts of decisions in the audit log: each match that begins a visit is a leaf, everything else is counted.

* ``door.matched``: a person matched. Written in the transaction of the visit; its opening is kept as long as the visit,
  and never after the consent has ended (`volens.store.people.visits`).
* ``decisions.counted``: how often one caller called one operation in some minutes, and the results. It names no person.
  Faces are counted only in zones that keep a match history, and for as long as that: in a zone with few people a count
  for each minute would identify a person.
* ``service.started`` and ``service.ended``: between them no count is missing. After a start without an end, the counts
  of the last minute are missing.
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
"""How long the openings of counts without faces are kept. The leaves stay."""


@final
@dataclass(frozen=True, slots=True)
class DecisionCount:
    """How often one caller called one operation in a span of time, and the results.

    Attributes:
        caller: the id in logs; ``none`` for requests without a valid credential.
        zone: the caller's only zone; None for all.
        answers: how many requests got each kind of answer.
        faces: how many faces got each decision.
    """

    caller: str
    zone: Purpose | None
    operation: str
    answers: Mapping[str, int]
    faces: Mapping[str, int]


@final
class DecisionLog:
    """Writes the counts of a service into the audit log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def started(self, run: str) -> None:
        """Log that the service starts; `run` identifies this start."""
        with self._store.write() as tx:
            tx.log(STARTED, {"run": run})

    def ended(self, run: str) -> None:
        """Log that the service ended, and that all its counts are written."""
        with self._store.write() as tx:
            tx.log(ENDED, {"run": run})

    def counted(self, run: str, begin: datetime, end: datetime, counts: Sequence[DecisionCount]) -> None:
        """Log the counts of a span of time: one leaf for each caller and operation, in one transaction."""
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
