"""Reports of doors: merged into one row for each door, bounded, about no moment of a person, deleted by the sweep."""

import time
from datetime import timedelta

import pytest
from house import START, House

from volens.site_fleet import AlarmKind
from volens.store.programs import DoorReport, door_reports
from volens.store.programs.door_reports import KEPT_FOR, quarter_of

FIRST = DoorReport("a", START, door="front", purpose="lobby", version="1", offset_ms=3, uncertainty_ms=2)
DECIDED = DoorReport("a", START - timedelta(seconds=9), purpose="lobby", decided_at=quarter_of(START))


def test_a_later_report_changes_only_what_it_says(house: House) -> None:
    doors = house.site.programs.doors
    doors.record([FIRST])
    doors.record([DECIDED, DoorReport("b", START)])
    assert doors.list() == [FIRST.merged(DECIDED), DoorReport("b", START)]
    (door, _) = doors.list()
    assert (door.version, door.seen_at, door.decided_at) == ("1", START, quarter_of(START))


def test_two_reports_of_one_door_in_one_transaction_make_one_row(house: House) -> None:
    house.site.programs.doors.record([DECIDED, FIRST])
    assert house.site.programs.doors.list() == [DECIDED.merged(FIRST)]


def test_reports_are_written_without_an_entry_in_the_log(house: House) -> None:
    before = house.site.status().log_size
    house.site.programs.doors.record([FIRST])
    assert house.site.status().log_size == before


def test_beyond_the_limit_known_doors_report_and_new_ones_are_left_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_reports, "MAX_DOORS", 1)
    later = DoorReport("a", START + timedelta(seconds=1))
    house.site.programs.doors.record([FIRST, DoorReport("b", START), later])
    assert house.site.programs.doors.list() == [FIRST.merged(later)]


def test_a_decision_is_known_to_the_quarter_of_an_hour(house: House) -> None:
    assert quarter_of(START.replace(minute=44, second=59, microsecond=7)) == START.replace(minute=30)
    house.site.programs.processes.report("0" * 16, START, 1, 0, decided_at=START.replace(minute=14, second=1))
    (process,) = house.site.programs.processes.running()
    assert process.decided_at == START


def test_a_node_on_another_machine_compares_its_clock_with_the_database_server(house: House, engine: str) -> None:
    before_s = time.time()
    house.site.feed.follow()
    after_s = time.time()
    (node,) = house.site.fleet().nodes
    kinds = [one.kind for one in house.site.fleet().alarms()]
    if engine == "files":
        assert (node.offset, kinds) == (None, [])
        return
    assert node.offset is not None
    by_server_s = START.timestamp() - node.offset.offset_ms / 1000
    margin_s = node.offset.uncertainty_ms / 1000
    assert before_s - margin_s <= by_server_s <= after_s + margin_s, "the server runs on this machine"
    assert kinds == [AlarmKind.NODE_CLOCK], "the clock of this test is decades ahead"


def test_the_sweep_deletes_doors_that_were_silent_for_a_month(house: House) -> None:
    house.site.programs.doors.record([FIRST])
    house.clock.move(days=KEPT_FOR.days)
    house.site.sweep()
    assert len(house.site.programs.doors.list()) == 1
    house.clock.move(seconds=1)
    house.site.sweep()
    assert house.site.programs.doors.list() == []
