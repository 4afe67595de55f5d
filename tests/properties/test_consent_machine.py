"""A state machine: give, enroll, identify, withdraw, expire, reopen, in any order, compared with a model."""

import shutil
import tempfile
from pathlib import Path

import pytest
from house import House, Person
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from volens import verify_certificate
from volens.consent import NoLiveConsentError, RefusedError

ZONES = ("lobby", "lab")


class ConsentMachine(RuleBasedStateMachine):
    """`alive` is the model: the people with a consent in force, and its zone."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.house = House.build(self.folder / "home", zones=ZONES)
        self.zone: dict[str, str] = {}
        self.alive: list[Person] = []
        self.enrolled: list[Person] = []
        self.gone: list[Person] = []
        self.certificates: dict[str, str] = {}

    def teardown(self) -> None:
        self.house.site.close()
        shutil.rmtree(self.folder)

    @initialize()
    def somebody_is_there(self) -> None:
        self.give(zone="lobby")

    @rule(zone=st.sampled_from(ZONES))
    def give(self, zone: str) -> None:
        person = self.house.invite(zone)
        self.zone[person.subject_id] = zone
        self.alive.append(person)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def enroll(self, data: st.DataObject) -> None:
        person = data.draw(st.sampled_from(self.alive))
        if person in self.enrolled:
            with pytest.raises(RefusedError, match="already has a reference"):
                self.house.enroll(person)
            return
        self.house.enroll(person)
        self.enrolled.append(person)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def nobody_enrolls_without_consent(self, data: st.DataObject) -> None:
        with pytest.raises(NoLiveConsentError):
            self.house.enroll(data.draw(st.sampled_from(self.gone)))

    @precondition(lambda self: self.alive or self.gone)
    @rule(data=st.data(), by_code=st.booleans())
    def withdraw(self, data: st.DataObject, by_code: bool) -> None:  # noqa: FBT001
        person = data.draw(st.sampled_from(self.alive + self.gone))
        erased = self.house.site.withdraw(code=person.code).erased if by_code else self.house.withdraw(person)
        assert erased.certificate_id == self.certificates.setdefault(person.subject_id, erased.certificate_id)
        verify_certificate(erased.certificate_path.read_bytes(), self.house.site.verifier_key)
        self._end(person)

    @rule(days=st.sampled_from([1, 40, 89]))
    def time_passes(self, days: int) -> None:
        self.house.clock.move(days=days)
        now = self.house.store.now()
        for person in list(self.alive):
            if person.take_home.receipt.claims.expires_at <= now:
                # No sweep ran yet, and still no expired consent may match: that is the invariant below.
                self.alive.remove(person)
                self.gone.append(person)

    @rule()
    def sweep(self) -> None:
        self.house.site.sweep()

    @rule()
    def reopen(self) -> None:
        self.house.reopen()

    @invariant()
    def the_door_opens_for_the_enrolled_with_consent_and_for_nobody_else(self) -> None:
        for person in self.house.people:
            for zone in ZONES:
                expected = person in self.alive and person in self.enrolled and self.zone[person.subject_id] == zone
                assert self.house.sees(person, zone) is expected

    @invariant()
    def the_log_holds(self) -> None:
        self.house.site.log.verify()

    def _end(self, person: Person) -> None:
        if person in self.alive:
            self.alive.remove(person)
            self.gone.append(person)


TestConsentMachine = ConsentMachine.TestCase
TestConsentMachine.settings = settings(
    max_examples=15,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
