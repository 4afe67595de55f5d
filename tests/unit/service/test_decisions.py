"""Counting decisions: bounded by the minute, waiting for a locked store, whole at the end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from house import START, House
from reading_log import kinds, kinds_in_shards, opened

from tests.unit.store.test_visits import locked
from volens.consent import UnavailableError, format_time, parse_time
from volens.service.http import MAX_LEAVES, MAX_WAITING, OTHER, DecisionCounter
from volens.store.programs import COUNTED, ENDED, STARTED


@pytest.fixture
def decisions(house: House) -> DecisionCounter:
    return DecisionCounter(house.site.programs.decisions, "run", house.site.now)


def door(decisions: DecisionCounter, caller: str = "door", status: int = 200, **faces: int) -> None:
    decisions.count_request(caller, "lobby", "identify", status, faces)


def total(house: House, what: str) -> int:
    return sum(one.get(what, 0) for one in opened(house.store, COUNTED))


@contextmanager
def locked_at_once(house: House) -> Iterator[None]:
    """Have another process write, without waiting for a lock."""
    with house.store.read() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    with locked(house):
        yield


def test_a_minute_is_written_when_it_is_over_and_not_before(house: House, decisions: DecisionCounter) -> None:
    house.clock.move(seconds=10)
    door(decisions, match=1)
    door(decisions, no_match=2)
    decisions.write()
    assert opened(house.store, COUNTED) == []
    house.clock.move(seconds=50)
    door(decisions, match=1)
    decisions.write()
    (minute,) = opened(house.store, COUNTED)
    assert minute == {
        "run": "run",
        "from": format_time(START),
        "to": format_time(START + timedelta(minutes=1)),
        "caller": "door",
        "zone": "lobby",
        "operation": "identify",
        "answers_allowed": 2,
        "faces_match": 1,
        "faces_no_match": 2,
    }
    house.clock.move(minutes=10)
    decisions.write()
    decisions.write()
    assert [one["faces_match"] for one in opened(house.store, COUNTED)] == [1, 1]


def test_each_answer_has_a_name(house: House, decisions: DecisionCounter) -> None:
    for status in (101, 200, 202, 401, 403, 404, 413, 422, 429, 500, 503, 0):
        decisions.count_request(None, None, "enroll", status, {})
    decisions.write(everything=True)
    (one,) = opened(house.store, COUNTED)
    assert (one["caller"], one["operation"]) == ("none", "enroll")
    assert {name: number for name, number in one.items() if name.startswith("answers_")} == {
        "answers_allowed": 3,
        "answers_unknown": 1,
        "answers_forbidden": 1,
        "answers_not_found": 1,
        "answers_too_often": 1,
        "answers_unusable": 2,
        "answers_failed": 3,
    }


def test_requests_without_a_decision_are_not_counted(house: House, decisions: DecisionCounter) -> None:
    for operation, status in (("healthz", 200), ("readyz", 503), ("none", 404), ("read_metrics", 200)):
        decisions.count_request("prometheus", None, operation, status, {})
    decisions.write(everything=True)
    assert COUNTED not in kinds_in_shards(house.store)
    decisions.count_request("prometheus", None, "read_metrics", 403, {})
    decisions.write(everything=True)
    assert total(house, "answers_forbidden") == 1


def test_a_flood_of_callers_is_bounded_and_none_of_it_uncounted(house: House, decisions: DecisionCounter) -> None:
    for number in range(1000):
        decisions.count_request(f"oidc:{number:016x}", None, "verify_log", 200, {})
        decisions.count_request(None, None, "verify_log", 401, {})
    decisions.write(everything=True)
    leaves = opened(house.store, COUNTED)
    assert len(leaves) == MAX_LEAVES
    assert total(house, "answers_allowed") == total(house, "answers_unknown") == 1000
    (other,) = [one for one in leaves if one["caller"] == OTHER]
    assert (other["operation"], other["answers_allowed"]) == (OTHER, 1000 - (MAX_LEAVES - 2))


def test_a_locked_database_loses_nothing_and_is_written_when_it_is_free(
    house: House, decisions: DecisionCounter
) -> None:
    with locked_at_once(house):
        door(decisions, match=1)
        house.clock.move(minutes=1)
        with pytest.raises(UnavailableError):
            decisions.write()
        door(decisions, no_match=1)
    assert kinds(house.store).count(STARTED) == 0
    decisions.write(everything=True)
    assert (kinds(house.store).count(STARTED), kinds_in_shards(house.store)) == (1, [COUNTED, COUNTED])
    assert [one["from"] for one in opened(house.store, COUNTED)] == [
        format_time(START),
        format_time(START + timedelta(minutes=1)),
    ]
    assert (total(house, "faces_match"), total(house, "faces_no_match")) == (1, 1)


def test_a_failure_between_two_minutes_writes_each_once(
    house: House, decisions: DecisionCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = type(house.site.programs.decisions).counted, [1, 3]

    def fails_sometimes(*arguments: Any) -> None:  # noqa: ANN401  handed on
        failures[0] += 1
        if failures[0] == failures[1]:
            raise UnavailableError("locked")
        write(*arguments)

    monkeypatch.setattr(type(house.site.programs.decisions), "counted", fails_sometimes)
    for _ in range(3):
        door(decisions)
        house.clock.move(minutes=1)
    with pytest.raises(UnavailableError):
        decisions.write()
    decisions.write()
    assert [one["answers_allowed"] for one in opened(house.store, COUNTED)] == [1, 1, 1]


def test_when_the_store_stays_locked_the_oldest_minutes_are_added_up(house: House, decisions: DecisionCounter) -> None:
    minutes = MAX_WAITING + 20
    for _ in range(minutes):
        door(decisions, match=1)
        house.clock.move(minutes=1)
    decisions.write()
    spans = opened(house.store, COUNTED)
    assert len(spans) == MAX_WAITING
    assert total(house, "faces_match") == minutes
    assert parse_time(spans[0]["to"]) - parse_time(spans[0]["from"]) == timedelta(minutes=minutes - MAX_WAITING + 1)
    assert [one["to"] for one in spans[:-1]] == [one["from"] for one in spans[1:]]


def test_the_end_writes_the_running_minute_and_that_it_is_the_end(house: House, decisions: DecisionCounter) -> None:
    decisions.start()
    decisions.start()
    door(decisions, match=1)
    decisions.close()
    decisions.close()
    assert [one for one in kinds(house.store) if one in {STARTED, ENDED}] == [STARTED, ENDED]
    assert kinds_in_shards(house.store) == [COUNTED]
    assert opened(house.store, STARTED) == opened(house.store, ENDED)


def test_a_counter_that_never_started_ends_silently(house: House, decisions: DecisionCounter) -> None:
    decisions.close()
    assert ENDED not in kinds(house.store)


def test_many_threads_count_as_one(house: House, decisions: DecisionCounter) -> None:
    def ask() -> None:
        for _ in range(200):
            door(decisions, no_match=1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    decisions.write(everything=True)
    assert total(house, "faces_no_match") == 800


def test_the_counts_of_a_door_name_no_person(house: House, decisions: DecisionCounter) -> None:
    person = house.admit()
    door(decisions, match=1)
    decisions.write(everything=True)
    (counted,) = opened(house.store, COUNTED)
    assert not {person.receipt_id, person.subject_id} & {str(value) for value in counted.values()}
    assert kinds_in_shards(house.store) == [COUNTED]
