"""Wrong PINs are counted before the comparison: in every process, over restarts, and for concurrent requests."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from connections import lock_timeout
from house import Clock, House, Person
from patience import PATIENCE_S
from pins import cheap_pins, comparisons

from tests.factors.conftest import PINS
from volens.consent import Purpose, ShownFactor, UnavailableError
from volens.store import open_home
from volens.store.people import LOCKED_FOR, MOST_FAILURES, pin_owner

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


def test_a_right_pin_resets_the_count_of_four_wrong_ones(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    for _ in range(3):
        guess(house, ann, MOST_FAILURES - 1)
        assert passes(house, ann, PINS[0])


def test_five_wrong_pins_lock_the_right_one_for_fifteen_minutes(house: House, staff: Staff) -> None:
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


def test_tries_during_the_lock_do_not_extend_it(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    guess(house, ann, MOST_FAILURES)
    house.clock.move(minutes=14)
    guess(house, ann, 3)
    house.clock.move(minutes=1)
    assert passes(house, ann, PINS[0])


def test_a_locked_pin_and_a_wrong_pin_give_the_same_decision(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    first = house.look_at(ann.face, "pin", noise=0, factor=ShownFactor.pin("900817"))
    guess(house, ann, MOST_FAILURES)
    assert house.look_at(ann.face, "pin", noise=0, factor=ShownFactor.pin(PINS[0])) == first


def test_wrong_pins_fifteen_minutes_apart_never_lock(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    for _ in range(2 * MOST_FAILURES):
        guess(house, ann, 1)
        house.clock.move(minutes=15)
    assert passes(house, ann, PINS[0])


def test_no_fifteen_minutes_allow_more_than_five_wrong_pins(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    looked_at = []
    with comparisons(lambda: looked_at.append(house.clock.time)):
        for _ in range(30):
            guess(house, ann, 1)
            house.clock.move(minutes=2, seconds=17)
    assert len(looked_at) > MOST_FAILURES
    for begin in looked_at:
        assert sum(begin <= at < begin + timedelta(minutes=15) for at in looked_at) <= MOST_FAILURES


def test_a_lock_survives_a_restart(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    guess(house, ann, MOST_FAILURES - 1)
    house.reopen()
    guess(house, ann, 1)
    house.reopen()
    assert locked(house, ann)
    assert not passes(house, ann, PINS[0])


def test_a_new_pin_set_at_the_desk_is_not_locked(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    guess(house, ann, MOST_FAILURES)
    house.site.factors.set(ann.receipt_id, ShownFactor.pin("518264"))
    assert not passes(house, ann, PINS[0])
    assert passes(house, ann, "518264")


def test_many_doors_at_once_compare_at_most_five_pins(house: House, staff: Staff) -> None:
    """All are counted before the first comparison ends, so the limit must be used up by then."""
    ann, _ = staff("pin")
    inside, go_on = threading.Semaphore(0), threading.Event()

    def slow() -> None:
        inside.release()
        assert go_on.wait(PATIENCE_S)

    with comparisons(slow), ThreadPoolExecutor(8) as doors:
        asked = [
            doors.submit(pin_owner, house.store, ZONE, [ann.receipt_id], ShownFactor.pin("900817")) for _ in range(8)
        ]
        for _ in range(MOST_FAILURES):
            assert inside.acquire(timeout=PATIENCE_S)
        # The other three get an answer while those five are still compared.
        while sum(one.done() for one in asked) < 8 - MOST_FAILURES:
            threading.Event().wait(0.01)
        assert not inside.acquire(blocking=False)
        go_on.set()
    assert [one.result() for one in asked] == [None] * 8
    assert locked(house, ann)


def _guesses(home: Path, receipt_id: str, count: int, counted: "multiprocessing.Queue[int]") -> None:
    looked_at: list[None] = []
    store = open_home(home, clock=Clock(), random=os.urandom)
    with cheap_pins(), comparisons(lambda: looked_at.append(None)):
        for _ in range(count):
            pin_owner(store, ZONE, [receipt_id], ShownFactor.pin("900817"))  # type: ignore[list-item]
    store.close()
    counted.put(len(looked_at))


def test_two_processes_share_the_five_tries(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    home = house.site.home
    house.site.close()
    counted: multiprocessing.Queue[int] = _context.Queue()
    doors = [_context.Process(target=_guesses, args=(home, ann.receipt_id, 4, counted)) for _ in range(2)]
    for door in doors:
        door.start()
    looked_at = sorted(counted.get(timeout=PATIENCE_S) for _ in doors)
    for door in doors:
        door.join(PATIENCE_S)
    assert sum(looked_at) == MOST_FAILURES
    house.reopen()


def test_a_pin_is_not_compared_if_the_try_cannot_be_counted(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    looked_at: list[None] = []
    watched = comparisons(lambda: looked_at.append(None))
    with watched, lock_timeout(0.05), ThreadPoolExecutor(1) as other, house.store.write():
        door = other.submit(passes, house, ann, PINS[0])
        with pytest.raises(UnavailableError, match="locked by another process"):
            door.result()
    assert not looked_at
