"""What the operator should act on now: one problem, one sentence, and one button or command.

The checks are those of `volens doctor`, ``/readyz`` and the metrics that a running service can make quickly. The ones
that read every row, and those of the machine, are left to `volens doctor`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final, final

from volens.consent import Custody
from volens.consent.law.gates import ClosedGate
from volens.consent.zone import ZoneState
from volens.service.process import LATE_S
from volens.service.zone_sizes import zones_too_large
from volens.site_fleet import AlarmKind, FleetAlarm
from volens.site_status import SiteStatus
from volens.store import KeysStatus
from volens.store.programs import Credential

SOON: Final = timedelta(days=30)
BACKUP_AGE: Final = timedelta(days=7)
"""A newest backup that is older than this is a problem."""
LATE: Final = timedelta(minutes=1)
"""As in ``/readyz``: how long an erasure may be under way."""


@final
@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Attributes:
        kind: chooses the sentence and what to do about it.
        about: the zone, program or process that it is about; empty for the whole site.
        is_urgent: whether a promise to people is not kept now, or doors do not work.
        at: since when, or until when.
        gate: what keeps the zone closed, of kind ``gate``.
    """

    kind: str
    about: str = ""
    is_urgent: bool = False
    at: datetime | None = None
    gate: ClosedGate | None = None


@final
@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What the checks look at.

    Attributes:
        unrecorded: a withdrawal could not be recorded yet.
        is_disk_full: no space is left for withdrawals.
        is_overdue: data has outlived its clock.
        given_up: number of webhook messages whose delivery was given up.
        without_notice: zones without a notice.
        closed_gates: what keeps zones closed to people who are asked there.
        backup_at: when the newest backup was begun; None if there is none.
        alarms: what is wrong with nodes and doors.
    """

    now: datetime
    status: SiteStatus
    keys: KeysStatus
    credentials: tuple[Credential, ...]
    unrecorded: bool
    is_disk_full: bool
    is_overdue: bool
    given_up: int
    has_address: bool
    without_notice: tuple[str, ...]
    closed_gates: tuple[ClosedGate, ...]
    backup_at: datetime | None
    alarms: tuple[FleetAlarm, ...]
    titles: Mapping[str, str]


def find_problems(facts: SiteFacts) -> list[Problem]:
    """Return the problems, the urgent ones first."""
    found = [*_promises(facts), *_keys_and_backups(facts), *_zones(facts), *_programs(facts)]
    return sorted(found, key=lambda one: not one.is_urgent)


def _promises(facts: SiteFacts) -> Iterator[Problem]:
    status, late = facts.status, facts.now - LATE
    if facts.is_disk_full:
        yield Problem("disk_full", is_urgent=True)
    if facts.unrecorded:
        yield Problem("unrecorded", is_urgent=True)
    if status.unfinished_since is not None and status.unfinished_since <= late:
        yield Problem("erasure", is_urgent=True, at=status.unfinished_since)
    if status.revocations_since is not None and status.revocations_since <= late:
        yield Problem("revocation", is_urgent=True, at=status.revocations_since)
    if facts.is_overdue:
        yield Problem("overdue", is_urgent=True)
    if status.unfinished_orders:
        yield Problem("order", is_urgent=True)


def _keys_and_backups(facts: SiteFacts) -> Iterator[Problem]:
    keys = facts.keys
    if keys.unfinished:
        yield Problem("rotation_unfinished", is_urgent=True)
    elif keys.root_key_due:
        yield Problem("root_key_due", is_urgent=True)
    elif keys.overdue:
        yield Problem("rotation_overdue", at=keys.due_at)
    if facts.backup_at is None:
        yield Problem("no_backup")
    elif facts.backup_at < facts.now - BACKUP_AGE:
        yield Problem("old_backup", at=facts.backup_at)


def _zones(facts: SiteFacts) -> Iterator[Problem]:
    zones = facts.status.zones
    if not facts.has_address:
        yield Problem("no_address")
    if not zones:
        yield Problem("no_zone")
    for zone in facts.without_notice:
        yield Problem("no_notice", zone)
    for gate in facts.closed_gates:
        at = None if gate.opens_on is None else datetime.combine(gate.opens_on, time(), UTC)
        yield Problem("gate", gate.zone, at=at, gate=gate)
    for one in zones:
        if one.zone.state is ZoneState.PAUSED:
            yield Problem("paused", one.zone.purpose)
    searched = [one for one in zones if one.zone.custody is Custody.OPERATOR]
    for zone in zones_too_large((one.zone.purpose, one.references) for one in searched):
        yield Problem("too_large", zone)


_FLEET: Final[Mapping[AlarmKind, str]] = {
    AlarmKind.SILENT: "door_silent",
    AlarmKind.CLOCK: "door_clock",
    AlarmKind.NODE_CLOCK: "node_clock",
    AlarmKind.VERSIONS: "versions",
    AlarmKind.CERTIFICATE: "certificate",
}
"""The kind of the problem for each alarm. A node that is behind is a problem of its process."""


def _programs(facts: SiteFacts) -> Iterator[Problem]:
    for process in facts.status.processes:
        if process.lag.total_seconds() > LATE_S:
            yield Problem("process", process.process_id, is_urgent=True, at=process.seen_at)
    for alarm in facts.alarms:
        if alarm.kind in _FLEET:
            yield Problem(_FLEET[alarm.kind], alarm.about, is_urgent=alarm.kind is AlarmKind.SILENT, at=alarm.at)
    if facts.given_up:
        yield Problem("given_up", str(facts.given_up))
    for one in facts.credentials:
        if one.expires_at < facts.now + SOON:
            kind = "credential_expires" if one.link_until is None else "member_expires"
            yield Problem(kind, one.label, at=one.expires_at)
