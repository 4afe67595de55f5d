"""State machine of a door: named tables, and a stateful test against a model of the rules."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from volens.consent import InputError
from volens.service.backoff import again_in_s
from volens.service.door import DoorRules, DoorStatus, Lock, WhenOffline
from volens.service.door.door_state import DoorState

SECURE = DoorRules(open_s=5, offline_after_s=10, when_offline=WhenOffline.SECURE)
SAFE = DoorRules(open_s=5, offline_after_s=10, when_offline=WhenOffline.SAFE)

LOCKED = DoorStatus(Lock.LOCKED, offline=False)
OFFLINE_LOCKED = DoorStatus(Lock.LOCKED, offline=True)
HELD = DoorStatus(Lock.HELD_OPEN, offline=True)


def open_until(moment: float) -> DoorStatus:
    return DoorStatus(Lock.UNLOCKED, offline=False, open_until_s=moment)


# Events with their seconds; then the second at which the state is compared, and the expected state.
CASES: dict[str, tuple[DoorRules, Sequence[tuple[float, str]], float, DoorStatus]] = {
    "no event": (SECURE, [], 0, LOCKED),
    "a match opens": (SECURE, [(1, "ada")], 1, open_until(6)),
    "the door is open until the last moment": (SECURE, [(1, "ada")], 5.99, open_until(6)),
    "the door closes when the time is over": (SECURE, [(1, "ada")], 6, LOCKED),
    "a repeated visit does not extend the opening": (SECURE, [(1, "ada"), (4, "ada")], 6, LOCKED),
    "a repeated visit does not open the door again": (SECURE, [(1, "ada"), (7, "ada")], 7, LOCKED),
    "another visit restarts the timer": (SECURE, [(1, "ada"), (4, "ben")], 4, open_until(9)),
    "times are not added": (SECURE, [(1, "ada"), (1, "ben"), (1, "cleo")], 6, LOCKED),
    "decisions are available, no match": (SECURE, [(9, "")], 18.9, LOCKED),
    "no decisions: a secure door is closed": (SECURE, [], 10, OFFLINE_LOCKED),
    "no decisions: a safe door is held open": (SAFE, [], 10, HELD),
    "one moment before that, a safe door is closed": (SAFE, [], 9.99, LOCKED),
    "a decision ends the release": (SAFE, [(15, "")], 15, LOCKED),
    "a match is a decision": (SAFE, [(15, "ada")], 15, open_until(20)),
    "offline ends an opening": (DoorRules(60, 10), [(1, "ada")], 11, OFFLINE_LOCKED),
    "an opening before the release does not continue after it": (
        DoorRules(60, 10, WhenOffline.SAFE),
        [(1, "ada"), (15, "")],
        15,
        LOCKED,
    ),
    "if the clock goes back, the last time is used": (SECURE, [(8, "ada"), (2, "ben")], 3, open_until(13)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_state_follows_the_rules_when(name: str) -> None:
    rules, happened, then, expected = CASES[name]
    state = DoorState(rules, 0)
    for at, visit_id in happened:
        state.status_at(at)
        if visit_id:
            state.note_match(visit_id, at)
        else:
            state.note_available(at)
    assert state.status_at(then) == expected


@pytest.mark.parametrize(("rules", "expected"), [(SECURE, Lock.LOCKED), (SAFE, Lock.HELD_OPEN)], ids=["secure", "safe"])
def test_at_the_end_a_door_is_left_in_its_offline_state(rules: DoorRules, expected: Lock) -> None:
    state = DoorState(rules, 0)
    state.note_match("ada", 1)
    assert state.final_lock() is expected


@pytest.mark.parametrize("open_s", [0, 0.09, 601, math.nan, math.inf])
def test_an_opening_time_out_of_range_is_refused(open_s: float) -> None:
    with pytest.raises(InputError, match=r"expected 0\.1 to 600"):
        DoorRules(open_s=open_s)


@pytest.mark.parametrize("seconds", [0, -1, 3601, math.nan])
def test_an_offline_time_out_of_range_is_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="expected 1 to 3600"):
        DoorRules(offline_after_s=seconds)


class DoorMachine(RuleBasedStateMachine):
    """Time passes, people pass, decisions come and stop. The model keeps times only."""

    door_rules = SECURE

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.state = DoorState(self.door_rules, 0.0)
        self.available_at = 0.0
        self.opened_at: float | None = None
        self.known: set[int] = set()

    def is_offline(self) -> bool:
        return self.now - self.available_at >= self.door_rules.offline_after_s

    @rule(seconds=st.integers(0, 40).map(lambda quarters: quarters / 4))
    def time_passes(self, seconds: float) -> None:
        before, change_s = self.state.status_at(self.now), self.state.seconds_until_change(self.now)
        if seconds < change_s:
            self.now += seconds
            assert self.state.status_at(self.now) == before
        else:
            self.now += seconds
        if self.is_offline():
            self.opened_at = None

    @rule()
    def a_decision_is_available(self) -> None:
        self.state.note_available(self.now)
        self.available_at = self.now

    @rule(person=st.integers(0, 5))
    def a_person_passes(self, person: int) -> None:
        is_new = self.state.note_match(f"{person:016x}", self.now)
        assert is_new == (person not in self.known)
        self.available_at = self.now
        if is_new:
            self.known.add(person)
            self.opened_at = self.now

    @precondition(lambda self: self.now > 1)
    @rule(seconds=st.floats(0, 1))
    def the_clock_goes_back(self, seconds: float) -> None:
        assert self.state.status_at(self.now - seconds) == self.state.status_at(self.now)

    @invariant()
    def the_state_follows_the_rules(self) -> None:
        status = self.state.status_at(self.now)
        is_open = self.opened_at is not None and self.now - self.opened_at < self.door_rules.open_s
        if self.is_offline():
            expected = Lock.HELD_OPEN if self.door_rules.when_offline is WhenOffline.SAFE else Lock.LOCKED
        else:
            expected = Lock.UNLOCKED if is_open else Lock.LOCKED
        assert status.lock is expected
        assert status.offline == self.is_offline()

    @invariant()
    def a_secure_door_opens_only_for_a_match(self) -> None:
        if self.door_rules.when_offline is WhenOffline.SECURE and not self.known:
            assert self.state.status_at(self.now).lock is Lock.LOCKED


class SafeDoorMachine(DoorMachine):
    door_rules = SAFE


MACHINE = settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True)
TestSecureDoor = DoorMachine.TestCase
TestSecureDoor.settings = MACHINE
TestSafeDoor = SafeDoorMachine.TestCase
TestSafeDoor.settings = MACHINE


@pytest.mark.parametrize(
    ("failures", "chance", "retry_after", "expected"),
    [
        (1, 0, None, 0.25),
        (1, 1, None, 0.5),
        (2, 1, None, 1.0),
        (0, 1, None, 0.5),
        (7, 1, None, 30.0),
        (10**9, 0, None, 15.0),
        (1, 1, 7, 7),
        (1, 1, 10**9, 30.0),
        (7, 1, 0, 30.0),
    ],
)
def test_backoff_grows_with_jitter_up_to_half_a_minute(
    failures: int, chance: float, retry_after: float | None, expected: float
) -> None:
    assert again_in_s(failures, chance, retry_after) == expected
