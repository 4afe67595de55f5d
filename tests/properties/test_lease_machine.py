"""A state machine: two doors with leases, bad connections and bad clocks; people withdraw and pause.

The clock of the primary is set forward once, at most.

No door matches a person after the time that the withdrawal named as "stopped everywhere".
"""

import atexit
import shutil
import tempfile
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from house import DIMENSION, MODEL, THRESHOLD, House, Person
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from volens.consent import Purpose
from volens.consent.lease import LeaseDoor
from volens.consent.lease_end import SteadyTime
from volens.erase import followers
from volens.erase.proof import verify_certificate
from volens.identify.lease_giving import give_lease
from volens.index.held_lease import HeldLease
from volens.service.sample_notice import publish_sample_notice
from volens.store.programs import Role
from volens.store.programs.leases import Leases

TERM = 20
DRIFTS = (-0.008, 0.008)


class Door:
    """A door whose clock is wrong by `drift`; it holds one lease at most."""

    def __init__(self, house: House, label: str, drift: float) -> None:
        credential, _token = house.site.programs.credentials.issue(label=label, role=Role.DOOR, zone="lobby")
        self.door_id = credential.credential_id
        self.rate = 1 + drift
        self.held: HeldLease | None = None


@cache
def _template() -> Path:
    """A home whose lobby has leases, closed: migrations are run for the first example only."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    house = House.build(folder / "home")
    house.site.zones.set_lease("lobby", TERM)
    publish_sample_notice(house.site, "lobby")
    house.site.close()
    return folder / "home"


class LeaseMachine(RuleBasedStateMachine):
    """`stopped` is the model: from when on nobody may match, by person."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(followers, "CONFIRM_S", 0.0)
        self.folder = Path(tempfile.mkdtemp())
        self.house = House.copied(_template(), self.folder / "home")
        self.passed_s, self.was_set = 0.0, False
        self.house.store.steady_clock = lambda: SteadyTime("c" * 32, self.passed_s)
        self.doors = [Door(self.house, f"door {drift}", drift) for drift in DRIFTS]
        self.here: list[Person] = []
        self.stopped: list[tuple[Person, datetime]] = []

    def teardown(self) -> None:
        self.house.site.close()
        shutil.rmtree(self.folder)
        self.patch.undo()

    def wait(self, seconds: float) -> None:
        self.passed_s += seconds
        self.house.clock.move(seconds=seconds)

    @initialize()
    def somebody_is_there_and_the_doors_are_connected(self) -> None:
        for _ in range(3):
            self.here.append(self.house.admit())
        for number in range(len(self.doors)):
            self.ask(number, 0.0, is_lost=False)
            assert any(self.knows(self.doors[number], one) for one in self.here)

    @rule(seconds=st.sampled_from([0.3, 1.0, 4.0, 9.5]))
    def time_passes(self, seconds: float) -> None:
        self.wait(seconds)

    @precondition(lambda self: not self.was_set)
    @rule(seconds=st.sampled_from([4.0, 30.0, 7_200.0]))
    def the_clock_of_the_primary_is_set_forward(self, seconds: float) -> None:
        self.was_set = True
        self.house.clock.move(seconds=seconds)
        self.stopped = [(person, until + timedelta(seconds=seconds)) for person, until in self.stopped]

    @rule(number=st.integers(0, 1), delay_s=st.sampled_from([0.0, 0.9, 6.0]), is_lost=st.booleans())
    def ask(self, number: int, delay_s: float, is_lost: bool) -> None:  # noqa: FBT001
        door = self.doors[number]

        def clock() -> float:
            return self.passed_s * door.rate

        asked_at_s = clock()
        self.wait(delay_s)
        given = give_lease(self.house.store, door.door_id, MODEL, lambda _zone: THRESHOLD)
        self.wait(delay_s)
        if is_lost:
            return
        if door.held is not None:
            door.held.wipe()
        store = self.house.store
        of = LeaseDoor(store.verifier_key.public_keys, store.site.controller.site_id, Purpose("lobby"), door.door_id)
        door.held = HeldLease.opened(
            given.token, given.key, given.references, of, asked_at_s=asked_at_s, dimension=DIMENSION, clock=clock
        )

    @rule(number=st.integers(0, 1), is_cut=st.booleans())
    def say(self, number: int, is_cut: bool) -> None:  # noqa: FBT001
        door, leases = self.doors[number], Leases(self.house.store)
        if door.held is None:
            return
        lease_id = door.held.claims.lease_id
        if leases.acknowledge(door.door_id, lease_id, holds=True) or is_cut:
            return
        door.held.wipe()
        door.held = None
        leases.acknowledge(door.door_id, lease_id, holds=False)

    @precondition(lambda self: self.here)
    @rule(data=st.data(), pauses=st.booleans())
    def leave(self, data: st.DataObject, pauses: bool) -> None:  # noqa: FBT001
        person = self.here.pop(data.draw(st.integers(0, len(self.here) - 1)))
        if pauses:
            since = self.house.site.changes.restrict(person.receipt_id)
            self.stopped.append((person, self.house.site.zones.stop_at("lobby", since).stopped_everywhere_at))
            return
        done = self.house.site.withdraw(code=person.code)
        statement = verify_certificate(
            done.erased.certificate_path.read_bytes(), self.house.site.verifier_key
        ).statement
        assert datetime.fromisoformat(statement["stopped_everywhere_at"]) == done.stopped_everywhere_at
        assert done.stopped_everywhere_at >= done.ended_at
        self.stopped.append((person, done.stopped_everywhere_at))

    @invariant()
    def no_door_matches_anyone_after_stopped_everywhere(self) -> None:
        for person, until in self.stopped:
            for door in self.doors:
                if self.knows(door, person):
                    assert self.house.clock() < until

    def knows(self, door: Door, person: Person) -> bool:
        return door.held is not None and door.held.best(person.face) is not None


TestLeaseMachine = LeaseMachine.TestCase
TestLeaseMachine.settings = settings(
    max_examples=10,
    stateful_step_count=16,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
