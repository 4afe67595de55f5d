"""Wrong PINs are counted before they are looked at: in every process, over restarts, and however many ask at once."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from house import Clock, House, Person

import volens.store.people.second_factors as pins
from tests.factors.conftest import PINS
from volens.consent import Purpose, ShownFactor, UnavailableError
from volens.store import open_home
from volens.store.people.second_factors import LOCKED_FOR, MOST_FAILURES, pin_owner

Staff = Callable[[str], tuple[Person, Person]]
ZONE = Purpose("pin")
_context = multiprocessing.get_context("forkserver")


def passes(house: House, person: Person, text: str) -> bool:
    with ShownFactor.pin(text) as shown:
        return house.look_at(person.face, "pin", factor=shown).match is not None


def guess(house: House, person: Person, count: int) -> None:
    for number in range(count):
        assert not passes(house, person, f"90081{number % 10}")


def locked(house: House, person: Person) -> bool:
    state = house.site.factors.of(person.receipt_id)
    assert state is not None
    return state.locked_until is not None


def test_four_wrong_ones_are_forgiven_by_a_right_one(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    for _ in range(3):
        guess(house, ann, MOST_FAILURES - 1)
        assert passes(house, ann, PINS[0])


def test_after_five_wrong_ones_the_right_one_is_not_looked_at_for_fifteen_minutes(house: House, staff: Staff) -> None:
    ann, bob = staff("pin")
    guess(house, ann, MOST_FAILURES)

    assert locked(house, ann)
    assert not passes(house, ann, PINS[0])
    house.clock.move(seconds=LOCKED_FOR.total_seconds() - 1)
    assert not passes(house, ann, PINS[0])
    assert passes(house, bob, PINS[1])
    house.clock.move(seconds=1)
    assert not locked(house, ann)
    assert passes(house, ann, PINS[0])
    assert house.site.log.verify().kinds["factor.locked"] == 1


def test_what_is_tried_while_it_is_locked_does_not_lock_it_longer(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    guess(house, ann, MOST_FAILURES)
    house.clock.move(minutes=14)
    guess(house, ann, 3)
    house.clock.move(minutes=1)
    assert passes(house, ann, PINS[0])


def test_a_lock_answers_as_a_wrong_pin_does(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    first = house.look_at(ann.face, "pin", noise=0, factor=ShownFactor.pin("900817"))
    guess(house, ann, MOST_FAILURES)
    assert house.look_at(ann.face, "pin", noise=0, factor=ShownFactor.pin(PINS[0])) == first


def test_wrong_ones_fifteen_minutes_apart_never_lock(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    for _ in range(2 * MOST_FAILURES):
        guess(house, ann, 1)
        house.clock.move(minutes=15)
    assert passes(house, ann, PINS[0])


def test_no_quarter_of_an_hour_holds_more_than_five_however_they_are_spread(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    looked_at = []
    original = pins._verifier
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pins, "_verifier", lambda *these: looked_at.append(house.clock.time) or original(*these))
        for _ in range(30):
            guess(house, ann, 1)
            house.clock.move(minutes=2, seconds=17)
    assert len(looked_at) > MOST_FAILURES
    for begin in looked_at:
        assert sum(begin <= at < begin + timedelta(minutes=15) for at in looked_at) <= MOST_FAILURES


def test_a_lock_outlives_the_process(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    guess(house, ann, MOST_FAILURES - 1)
    house.reopen()
    guess(house, ann, 1)
    house.reopen()
    assert locked(house, ann)
    assert not passes(house, ann, PINS[0])


def test_a_pin_set_anew_at_the_desk_is_not_locked(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    guess(house, ann, MOST_FAILURES)
    house.site.factors.set(ann.receipt_id, ShownFactor.pin("518264"))
    assert not passes(house, ann, PINS[0])
    assert passes(house, ann, "518264")


def test_of_many_doors_at_once_no_more_than_five_look_at_a_pin(
    house: House, staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are past the count before the first is done: the limit must have been spent by then."""
    ann, _ = staff("pin")
    inside, go_on, original = threading.Semaphore(0), threading.Event(), pins._verifier

    def slow(*these: object) -> bytes:
        inside.release()
        assert go_on.wait(20)
        return original(*these)  # type: ignore[arg-type]

    monkeypatch.setattr(pins, "_verifier", slow)
    with ThreadPoolExecutor(8) as doors:
        asked = [
            doors.submit(pin_owner, house.store, ZONE, [ann.receipt_id], ShownFactor.pin("900817")) for _ in range(8)
        ]
        for _ in range(MOST_FAILURES):
            assert inside.acquire(timeout=20)
        # The other three are answered while those five are still at it.
        while sum(one.done() for one in asked) < 8 - MOST_FAILURES:
            threading.Event().wait(0.01)
        assert not inside.acquire(blocking=False)
        go_on.set()
    assert [one.result() for one in asked] == [None] * 8
    assert locked(house, ann)


def _guesses(home: Path, receipt_id: str, count: int, counted: "multiprocessing.Queue[int]") -> None:
    looked_at = 0

    class Counting:
        def __init__(self, **_: object) -> None:
            pass

        def derive(self, _key: bytes) -> bytes:
            nonlocal looked_at
            looked_at += 1
            return bytes(32)

    pins.Scrypt = Counting  # type: ignore[misc,assignment]
    store = open_home(home, clock=Clock(), random=os.urandom)
    for _ in range(count):
        pin_owner(store, ZONE, [receipt_id], ShownFactor.pin("900817"))  # type: ignore[list-item]
    store.close()
    counted.put(looked_at)


def test_two_processes_that_guess_at_once_have_five_tries_together(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    home = house.site.home
    house.site.close()
    counted: multiprocessing.Queue[int] = _context.Queue()
    doors = [_context.Process(target=_guesses, args=(home, ann.receipt_id, 4, counted)) for _ in range(2)]
    for door in doors:
        door.start()
    looked_at = sorted(counted.get(timeout=60) for _ in doors)
    for door in doors:
        door.join(60)
    assert sum(looked_at) == MOST_FAILURES
    house.reopen()


def test_where_no_try_can_be_counted_none_is_looked_at(
    house: House, staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, _ = staff("pin")
    looked_at: list[object] = []
    monkeypatch.setattr(pins, "_verifier", lambda *these: looked_at.append(these))
    monkeypatch.setattr("volens.store.sqlite.database.BUSY_TIMEOUT_S", 0.05)
    house.reopen()
    with ThreadPoolExecutor(1) as other, house.store.write():
        door = other.submit(passes, house, ann, PINS[0])
        with pytest.raises(UnavailableError, match="locked by another process"):
            door.result()
    assert not looked_at
