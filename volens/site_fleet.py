"""The fleet of a site: the processes that serve it (nodes) and the programs at its doors, and what is wrong with them.

Read from rows that nodes and doors write about themselves. They grant nothing and are not sealed: this says whether the
fleet works, and is no evidence of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, final

from volens.consent import Purpose
from volens.consent.zone import AfterLease
from volens.store import Store
from volens.store.log import log_size
from volens.store.programs import DoorReport, DoorReports, Processes, Role
from volens.store.programs.clock_exchange import ClockOffset
from volens.store.programs.credentials import Credentials
from volens.store.programs.door_reports import LOCAL
from volens.store.programs.leases import Leases
from volens.store.programs.processes import RunningProcess
from volens.store.promises import inspect_zones

BEHIND: Final = timedelta(seconds=10)
"""A node that has not applied the newest commit for so long is behind."""

SILENT_DOOR: Final = timedelta(minutes=5)
"""A door that sends heartbeats and has sent none for so long is silent: ten of them are missing."""

CLOCK_BOUND: Final = timedelta(seconds=5)
"""By how much a door's clock may differ from that of the service, and a node's from that of the database server, beyond
the uncertainty of the measurement."""

CERTIFICATE_SOON: Final = timedelta(days=14)


class AlarmKind(StrEnum):
    """What is wrong with a node or a door."""

    BEHIND = "behind"
    SILENT = "silent"
    VERSIONS = "versions"
    CLOCK = "clock"
    NODE_CLOCK = "node_clock"
    CERTIFICATE = "certificate"


@final
@dataclass(frozen=True, slots=True)
class FleetAlarm:
    """One thing that is wrong.

    Attributes:
        about: the node or door; the versions, if they differ.
        at: since when, or until when.
    """

    kind: AlarmKind
    about: str
    at: datetime | None = None

    def sentence(self) -> str:
        """Return what is wrong and what to do, in English."""
        return _SENTENCES[self.kind].format(about=self.about, at="" if self.at is None else f"{self.at:%Y-%m-%d %H:%M}")


_SENTENCES: Final[Mapping[AlarmKind, str]] = {
    AlarmKind.BEHIND: "node {about} has not followed the store since {at} UTC; check its log, then restart it",
    AlarmKind.SILENT: "door {about} was last heard of at {at} UTC; check its power and its network, or end its "
    "credential if it is gone",
    AlarmKind.VERSIONS: "nodes and doors run different versions ({about}); finish the rollout",
    AlarmKind.CLOCK: "the clock of door {about} differs from that of the service by more than "
    f"{round(CLOCK_BOUND.total_seconds())} s; let NTP set it",
    AlarmKind.NODE_CLOCK: "the clock of node {about} differs from that of the database server by more than "
    f"{round(CLOCK_BOUND.total_seconds())} s; let NTP set both",
    AlarmKind.CERTIFICATE: "the certificate that {about} uses ends at {at} UTC; renew it and restart the service",
}


@final
@dataclass(frozen=True, slots=True)
class FleetDoor:
    """One door: a credential of role door, a caller of an issuer with that role, or a program on the site's machine.

    Attributes:
        label: of the credential; else the id.
        report: what is known of its program; None if it was never heard of.
        lease_until: None: it holds no lease.
        after_lease: what it does then without a connection; None in a zone without leases.
    """

    door_id: str
    label: str
    purpose: Purpose | None
    report: DoorReport | None
    lease_until: datetime | None = None
    after_lease: AfterLease | None = None

    @property
    def sends_heartbeats(self) -> bool:
        """Whether its program says that it is alive; others only send frames."""
        return self.report is not None and self.report.version is not None

    @property
    def name(self) -> str:
        """Its label, and the name that its program has in messages if that differs."""
        door = None if self.report is None else self.report.door
        return self.label if door in {None, self.label} or self.door_id.startswith(LOCAL) else f"{self.label} ({door})"


@final
@dataclass(frozen=True, slots=True)
class Fleet:
    """Nodes and doors at one moment.

    Attributes:
        generation: the newest of the store; a node that has it is up to date.
        leases: until when each door may decide without the primary, by its id; empty as long as none does.
    """

    now: datetime
    generation: int
    nodes: tuple[RunningProcess, ...]
    doors: tuple[FleetDoor, ...]
    leases: Mapping[str, datetime] = field(default_factory=dict)

    def alarms(self) -> list[FleetAlarm]:
        """Return what is wrong, kind by kind."""
        found = [*_nodes_behind(self), *_silent_doors(self), *_versions(self), *_clocks(self), *_certificates(self)]
        order = list(AlarmKind)
        return sorted(found, key=lambda one: order.index(one.kind))

    def alarms_about(self, name: str) -> list[AlarmKind]:
        """Return what is wrong with one node or door."""
        return [one.kind for one in self.alarms() if one.about == name]


def read_fleet(store: Store) -> Fleet:
    """Read the fleet. Doors whose credential has ended are left out. Cost: rows of nodes and doors, one seal each.

    Raises:
        TamperError: the row of a credential does not verify.
    """
    held = {one.door_id: one.ends_at for one in Leases(store).list() if one.acknowledged_at is None}
    reports = {one.door_id: one for one in DoorReports(store).list()}
    credentials = Credentials(store).list(all_of_them=True)
    now = store.now()
    doors = [
        FleetDoor(
            one.credential_id, one.label, one.purpose, reports.get(one.credential_id), held.get(one.credential_id)
        )
        for one in credentials
        if one.role is Role.DOOR and one.ended_at is None and one.expires_at > now
    ]
    known = {one.credential_id for one in credentials}
    for door_id, report in reports.items():
        if door_id not in known:
            purpose = None if report.purpose is None else Purpose(report.purpose)
            doors.append(FleetDoor(door_id, door_id.removeprefix(LOCAL), purpose, report, held.get(door_id)))
    nodes = tuple(Processes(store).running())
    with store.read() as connection:
        generation = log_size(connection)
        zones = [zone for zone, _problem in inspect_zones(connection)]
    after = {zone.purpose: zone.after_lease for zone in zones if zone.lease_seconds}
    doors = [one if one.purpose is None else replace(one, after_lease=after.get(one.purpose)) for one in doors]
    return Fleet(now, generation, nodes, tuple(sorted(doors, key=lambda one: (one.purpose or "", one.name))), held)


def _nodes_behind(fleet: Fleet) -> Iterator[FleetAlarm]:
    for one in fleet.nodes:
        if one.lag > BEHIND:
            yield FleetAlarm(AlarmKind.BEHIND, one.process_id, one.seen_at)


def _silent_doors(fleet: Fleet) -> Iterator[FleetAlarm]:
    # A rotated credential has the label of the old one: the door speaks under its new id.
    newest = dict[tuple[str, Purpose | None], datetime]()
    for one in fleet.doors:
        if one.report is not None:
            key = (one.label, one.purpose)
            newest[key] = max(one.report.seen_at, newest.get(key, one.report.seen_at))
    for one in fleet.doors:
        if one.report is None or not one.sends_heartbeats or newest[one.label, one.purpose] > one.report.seen_at:
            continue
        if fleet.now - one.report.seen_at > SILENT_DOOR:
            yield FleetAlarm(AlarmKind.SILENT, one.name, one.report.seen_at)


def _versions(fleet: Fleet) -> Iterator[FleetAlarm]:
    reported = [one.report.version for one in fleet.doors if one.report is not None and one.report.version is not None]
    versions = sorted({*(one.version for one in fleet.nodes), *reported})
    if len(versions) > 1:
        yield FleetAlarm(AlarmKind.VERSIONS, ", ".join(versions))


def _clocks(fleet: Fleet) -> Iterator[FleetAlarm]:
    measured: list[tuple[AlarmKind, str, ClockOffset | None]] = [
        *((AlarmKind.CLOCK, one.name, one.report.offset) for one in fleet.doors if one.report is not None),
        *((AlarmKind.NODE_CLOCK, one.process_id, one.offset) for one in fleet.nodes),
    ]
    for kind, about, offset in measured:
        if offset is not None and timedelta(milliseconds=offset.least_ms) > CLOCK_BOUND:
            yield FleetAlarm(kind, about)


def _certificates(fleet: Fleet) -> Iterator[FleetAlarm]:
    shown = [(one.process_id, one.certificate_until) for one in fleet.nodes]
    shown += [(one.name, one.report.certificate_until) for one in fleet.doors if one.report is not None]
    for about, until in shown:
        if until is not None and until - fleet.now < CERTIFICATE_SOON:
            yield FleetAlarm(AlarmKind.CERTIFICATE, about, until)
