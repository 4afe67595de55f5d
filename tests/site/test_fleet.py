"""The fleet: what is wrong with nodes and doors, by their own reports."""

from dataclasses import replace
from datetime import timedelta

import pytest
from house import START, House

from volens.consent import Purpose
from volens.site_fleet import (
    BEHIND,
    CERTIFICATE_SOON,
    CLOCK_BOUND,
    SILENT_DOOR,
    AlarmKind,
    Fleet,
    FleetAlarm,
    FleetDoor,
)
from volens.store.programs import DoorReport, Role
from volens.store.programs.processes import RunningProcess

SECOND = timedelta(seconds=1)
BOUND_MS = round(CLOCK_BOUND.total_seconds() * 1000)
NODE = RunningProcess("a" * 16, START, START, 7, 1, 0, "1.0", "baseline", None, None, timedelta())
REPORT = DoorReport("d" * 16, START, door="front", purpose="lobby", version="1.0", offset_ms=0, uncertainty_ms=9)


def fleet(node: RunningProcess = NODE, report: DoorReport | None = REPORT) -> Fleet:
    return Fleet(START, 7, (node,), (FleetDoor("d" * 16, "left door", Purpose("lobby"), report),))


NAME = "left door (front)"
CASES = {
    "nothing": (fleet(), []),
    "a door that was never heard of": (fleet(report=None), []),
    "a node that is a little behind": (fleet(replace(NODE, lag=BEHIND)), []),
    "a node that is behind": (
        fleet(replace(NODE, lag=BEHIND + SECOND)),
        [FleetAlarm(AlarmKind.BEHIND, NODE.process_id, START)],
    ),
    "a door that has just spoken": (fleet(report=replace(REPORT, seen_at=START - SILENT_DOOR)), []),
    "a silent door": (
        fleet(report=replace(REPORT, seen_at=START - SILENT_DOOR - SECOND)),
        [FleetAlarm(AlarmKind.SILENT, NAME, START - SILENT_DOOR - SECOND)],
    ),
    "a program that sends frames only": (
        fleet(report=DoorReport("d" * 16, START - timedelta(days=3), purpose="lobby")),
        [],
    ),
    "another version": (fleet(replace(NODE, version="1.1")), [FleetAlarm(AlarmKind.VERSIONS, "1.0, 1.1")]),
    "a clock within the bound": (fleet(report=replace(REPORT, offset_ms=-BOUND_MS - 9)), []),
    "a clock beyond the bound": (
        fleet(report=replace(REPORT, offset_ms=-BOUND_MS - 10)),
        [FleetAlarm(AlarmKind.CLOCK, NAME)],
    ),
    "a node's clock within the bound": (fleet(replace(NODE, offset_ms=BOUND_MS + 3, uncertainty_ms=3)), []),
    "a node's clock beyond the bound": (
        fleet(replace(NODE, offset_ms=BOUND_MS + 4, uncertainty_ms=3)),
        [FleetAlarm(AlarmKind.NODE_CLOCK, NODE.process_id)],
    ),
    "a certificate for two weeks": (fleet(replace(NODE, certificate_until=START + CERTIFICATE_SOON)), []),
    "a node's certificate": (
        fleet(replace(NODE, certificate_until=START + CERTIFICATE_SOON - SECOND)),
        [FleetAlarm(AlarmKind.CERTIFICATE, NODE.process_id, START + CERTIFICATE_SOON - SECOND)],
    ),
    "the certificate that a door is shown": (
        fleet(report=replace(REPORT, certificate_until=START)),
        [FleetAlarm(AlarmKind.CERTIFICATE, NAME, START)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_alarms_are_raised_beyond_each_bound_and_not_at_it(case: str) -> None:
    found, expected = CASES[case]
    assert found.alarms() == expected
    assert all(one.about in one.sentence() for one in expected)
    assert [one.kind for one in expected if one.about == NAME] == found.alarms_about(NAME)


def test_a_door_whose_credential_was_rotated_is_not_silent() -> None:
    old = FleetDoor("c" * 16, "left door", Purpose("lobby"), replace(REPORT, seen_at=START - timedelta(days=1)))
    assert replace(fleet(), doors=(*fleet().doors, old)).alarms() == []


def test_the_list_has_doors_in_force_and_those_without_a_credential(house: House) -> None:
    programs = house.site.programs
    issued = [
        programs.credentials.issue(label=label, role=role, zone="lobby")[0]
        for label, role in (("left", Role.DOOR), ("right", Role.DOOR), ("gone", Role.DOOR), ("desk", Role.DESK))
    ]
    left, _, gone, _ = (one.credential_id for one in issued)
    house.site.feed.certificate_until = START + timedelta(days=400)
    known = [replace(REPORT, door_id=one) for one in (left, gone, "local:lobby/back")]
    programs.doors.record(known)
    programs.credentials.end(gone)
    house.site.feed.follow()

    found = house.site.fleet()

    assert [(one.label, one.report is not None) for one in found.doors] == [
        ("left", True),
        ("lobby/back", True),
        ("right", False),
    ]
    (node,) = found.nodes
    assert (node.generation, node.certificate_until) == (found.generation, START + timedelta(days=400))
    assert (node.revision, node.version, found.leases) == ("baseline", "0.1.0", {})


def test_a_door_is_listed_with_the_end_of_its_lease_while_it_holds_one(house: House) -> None:
    house.site.zones.set_lease("lobby", 60)
    door, other = (
        house.site.programs.credentials.issue(label=label, role=Role.DOOR, zone="lobby")[0].credential_id
        for label in ("left", "right")
    )
    lease, _zone = house.site.programs.leases.reserve(door, lease_id="1" * 32)

    found = house.site.fleet()
    assert found.leases == {door: lease.ends_at}
    assert {one.door_id: one.lease_until for one in found.doors} == {door: lease.ends_at, other: None}

    house.site.programs.leases.acknowledge(door, lease.lease_id, holds=False)
    house.clock.move(seconds=1)
    assert house.site.fleet().leases == {}
