"""The status of a site in numbers: live consents, references, log size, unfinished work, processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import final

from volens.consent import SiteId, TamperError, Zone
from volens.consent.zone import ZoneState
from volens.erase import unfinished, unfinished_since
from volens.erase.order import unfinished_cohorts
from volens.store import Store, rotation_due
from volens.store.log import log_size
from volens.store.people import count_references
from volens.store.people.consents_in_force import count_live
from volens.store.programs import Inbox, Processes
from volens.store.programs.processes import RunningProcess
from volens.store.promises import inspect_zones


@final
@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """How many live consents and references a zone has now; references by model."""

    zone: Zone
    live_consents: int
    references: Mapping[str, int]


@final
@dataclass(frozen=True, slots=True)
class SiteStatus:
    """The numbers of a site, without names or ids of people, and the processes that serve it now.

    `unfinished_since`: when the longest-waiting unfinished erasure last made progress; None if there is none.
    `revocations_since`: when the oldest revocation was received that was not carried out yet; None if there is none.
    """

    site_id: SiteId
    controller: str
    zones: tuple[ZoneStatus, ...]
    log_size: int
    unfinished_erasures: int
    unfinished_since: datetime | None
    revocations_since: datetime | None
    unfinished_orders: int
    store_key_epoch: int
    rotation_due_at: datetime
    rotation_overdue: bool
    processes: tuple[RunningProcess, ...]


def site_status(store: Store) -> SiteStatus:
    """Count in one consistent snapshot."""
    due_at, running = rotation_due(store), tuple(Processes(store).running())
    with store.read() as connection:
        return SiteStatus(
            site_id=store.site.controller.site_id,
            controller=store.site.controller.name,
            zones=tuple(
                ZoneStatus(zone, count_live(connection, zone.purpose), count_references(connection, zone.purpose))
                for zone, _problem in inspect_zones(connection)
                if zone.state is not ZoneState.REMOVED
            ),
            log_size=log_size(connection),
            unfinished_erasures=len(unfinished(connection)),
            unfinished_since=unfinished_since(connection),
            revocations_since=Inbox(store).pending_since(connection),
            unfinished_orders=len(unfinished_cohorts(connection)),
            store_key_epoch=store.keyring.epoch,
            rotation_due_at=due_at,
            rotation_overdue=due_at < store.now(),
            processes=running,
        )


def check_rules(store: Store) -> None:
    """Check both databases more closely than at every opening; changes nothing. Cost: reads them whole.

    1. Every act that the data file must refuse is tried, and undone.
    2. Pages, indexes and foreign keys of both files are sound.

    Raises:
        TamperError: 1 or 2 does not hold.
    """
    data, keyring = store.data, store.keyring.engine
    # 1.
    with data.write() as connection:
        data.check_rules(connection)
    # 2.
    with data.read() as first, keyring.read() as second:
        sound = data.sound(first) and keyring.sound(second)
    if not sound:
        raise TamperError("integrity: a database is damaged; restore it from a backup")
