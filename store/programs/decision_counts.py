"""Counts of decisions in shards of the audit log: each match that begins a visit is a leaf, everything else is counted.

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

from volens.consent import Purpose, format_time, parse_time
from volens.store.log.shard_entries import shard_entries_since
from volens.store.schema import data_tables as tables
from volens.store.store import Store

COUNTED: Final = "decisions.counted"
STARTED: Final = "service.started"
ENDED: Final = "service.ended"
COUNTS_KEPT: Final = timedelta(days=365)
"""How long the openings of counts without faces are kept. The leaves end with their shard."""
PLACE: Final = "counts"
"""Counts have shards of their own; those with faces one for each zone: ``counts/lobby``."""


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
@dataclass(frozen=True, slots=True)
class CallerActivity:
    """What one caller asked in a span of time, in sums.

    Attributes:
        asked: number of requests.
        refused: how many of them were not answered with a decision, or with what was asked for.
        last_at: when the last minute ended in which the caller asked.
    """

    asked: int
    refused: int
    last_at: datetime


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
        """Log the counts of a span of time: one leaf in a shard for each caller and operation, in one transaction."""
        if not counts:
            return
        with self._store.write() as tx:
            query = select(tables.zone.c.purpose, tables.zone.c.match_history_days)
            history: dict[str | None, int] = {
                row.purpose: row.match_history_days for row in tx.connection.execute(query)
            }
            by_place: dict[tuple[str, timedelta], list[dict[str, str | int]]] = {}
            span = {"run": run, "from": format_time(begin), "to": format_time(end)}
            for one in counts:
                days = history.get(one.zone, 0)
                faces = one.faces if days else {}
                details: dict[str, str | int] = {**span, "caller": one.caller, "operation": one.operation}
                details |= {} if one.zone is None else {"zone": one.zone}
                details |= {f"answers_{name}": number for name, number in one.answers.items()}
                details |= {f"faces_{name}": number for name, number in faces.items()}
                kept = (f"{PLACE}/{one.zone}", timedelta(days=days)) if faces else (PLACE, COUNTS_KEPT)
                by_place.setdefault(kept, []).append(details)
            for (place, kept_for), many in by_place.items():
                tx.shards.append(place, kept_for, COUNTED, tx.now, many)

    def activity(self, since: datetime) -> dict[str, CallerActivity]:
        """Return the sums of each caller's requests that were counted from `since` on. Says nothing about faces.

        Cost: reads the shards of counts from their ends back to `since`.

        Raises:
            TamperError: an entry does not match its leaf.
        """
        with self._store.read() as connection:
            events = shard_entries_since(connection, PLACE, COUNTED, since)
        found: dict[str, CallerActivity] = {}
        for event in events:
            answers = {name: int(value) for name, value in event.details.items() if name.startswith("answers_")}
            asked, refused = sum(answers.values()), sum(answers.values()) - answers.get("answers_allowed", 0)
            caller, until = str(event.details["caller"]), parse_time(str(event.details["to"]))
            known = found.get(caller, CallerActivity(0, 0, until))
            found[caller] = CallerActivity(known.asked + asked, known.refused + refused, max(known.last_at, until))
        return found
