"""Reports of doors: when each was last heard of, its version, its clock, its certificate. For the list of the fleet.

A row grants nothing: it opens no door, and no decision reads it. So it has no seal; a program that can write the data
file can make a door look well. Rows name no person. The time of the last decision is rounded down to a quarter of an
hour: enough to see whether a door works, too coarse to say when a person passed.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import func, insert, select, update

from volens.store.programs.clock_exchange import ClockOffset
from volens.store.schema.data_tables import door_report as table
from volens.store.store import Store

KEPT_FOR: Final = timedelta(days=30)
"""The sweep deletes the row of a door that was silent for so long."""

LOCAL: Final = "local:"
"""Prefix of the ids of doors that decide on the site's machine, and have no credential."""

MAX_DOORS: Final = 10_000
_QUARTER_MINUTES: Final = 15


@final
@dataclass(frozen=True, slots=True)
class DoorReport:
    """What is known of one door. None: it did not say, or not this time.

    Attributes:
        door_id: the id of its credential in logs, or `LOCAL` and its name.
        door: its name in messages.
        version: of its program; None for a program that sends frames and no heartbeats.
        certificate_until: when the certificate ends that the service showed it.
    """

    door_id: str
    seen_at: datetime
    door: str | None = None
    purpose: str | None = None
    version: str | None = None
    offset_ms: int | None = None
    uncertainty_ms: int | None = None
    certificate_until: datetime | None = None
    decided_at: datetime | None = None

    @property
    def offset(self) -> ClockOffset | None:
        """The offset of its clock."""
        if self.offset_ms is None or self.uncertainty_ms is None:
            return None
        return ClockOffset(self.offset_ms, self.uncertainty_ms)

    def merged(self, later: "DoorReport") -> "DoorReport":
        """Return both reports as one: what the later one says, and what only this one says."""
        mine, new = asdict(self), {name: value for name, value in asdict(later).items() if value is not None}
        for name in ("seen_at", "decided_at"):
            new[name] = max((one for one in (mine[name], new.get(name)) if one is not None), default=None)
        return DoorReport(**{**mine, **new})


def quarter_of(at: datetime) -> datetime:
    """Return the beginning of the quarter of an hour."""
    return at.replace(minute=at.minute - at.minute % _QUARTER_MINUTES, second=0, microsecond=0)


@final
class DoorReports:
    """The reports of a site's doors."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, reports: Sequence[DoorReport]) -> None:
        """Merge reports into the rows, in one transaction. Beyond `MAX_DOORS` rows, new doors are left out.

        Raises:
            UnavailableError: the store cannot be written now; nothing was recorded.
        """
        if not reports:
            return
        with self._store.write(wait=False) as tx:
            these = select(table).where(table.c.door_id.in_({one.door_id for one in reports}))
            known = {row.door_id: DoorReport(**row._asdict()) for row in tx.connection.execute(these)}
            room = MAX_DOORS - int(tx.connection.scalar(select(func.count()).select_from(table)) or 0)
            for one in reports:
                before = known.get(one.door_id)
                whole = known[one.door_id] = one if before is None else before.merged(one)
                values: dict[str, Any] = asdict(whole)
                if before is not None:
                    tx.connection.execute(update(table).where(table.c.door_id == one.door_id).values(values))
                elif room > 0:
                    tx.connection.execute(insert(table).values(values))
                    room -= 1

    def list(self) -> list[DoorReport]:
        """Return the reports, by the id of the door."""
        with self._store.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.door_id)).all()
        return [DoorReport(**row._asdict()) for row in rows]
