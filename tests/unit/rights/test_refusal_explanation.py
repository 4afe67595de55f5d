"""Why a door may refuse a person, told to the operator: what is compared and required, and no visit, name or score."""

from collections.abc import Iterator

import pytest
from house import House, Person
from pins import cheap_pins

from volens.consent import ReceiptId, SecondFactor, ShownFactor, UnknownError
from volens.face.embedder import SFACE_MODEL
from volens.rights.decision_explanation import Closed
from volens.rights.refusal_explanation import ABOUT_THE_PERSON, RefusalExplanation
from volens.store.people import MOST_FAILURES


@pytest.fixture(autouse=True)
def _pins_cost_nothing() -> Iterator[None]:
    with cheap_pins():
        yield


def told(house: House, person: Person | None = None, zone: str = "lobby") -> RefusalExplanation:
    return house.site.rights.explain_refusals(zone, SFACE_MODEL, None if person is None else person.receipt_id)


def closed(house: House, person: Person, zone: str = "lobby") -> list[Closed]:
    reasons = told(house, person, zone).closed_because
    assert reasons is not None
    return [one.kind for one in reasons]


def test_a_searched_zone_tells_with_how_many_people_and_at_which_score_it_compares(alike: House) -> None:
    found = told(alike)
    stated = SFACE_MODEL.thresholds.identification(51)
    assert (found.references, found.is_searched, found.threshold) == (51, True, pytest.approx(stated))
    assert found.missed is not None
    assert (found.missed.value, found.missed.people) == (0, 51)
    shift = alike.site.zones.apply_calibration(alike.site.zones.calibrate("lobby"))
    assert told(alike).threshold == pytest.approx(stated + shift)
    assert told(alike).closed_because is None


def test_a_zone_with_few_people_says_that_nothing_was_measured(house: House) -> None:
    assert told(house).missed is None


def test_where_the_person_holds_the_key_a_look_is_compared_with_them_alone(house: House) -> None:
    house.declare("lab", custody="subject_key")
    person = house.admit("lab")
    found = told(house, person, "lab")
    assert (found.references, found.is_searched) == (1, False)
    assert found.threshold == SFACE_MODEL.thresholds.claim_value
    assert closed(house, person, "lab") == [Closed.SHOW_KEY]


def test_what_keeps_a_door_closed_for_one_person_is_told_as_it_is_now(house: House) -> None:
    person = house.invite()
    assert closed(house, person) == [Closed.NOT_ENROLLED]
    house.enroll(person)
    assert closed(house, person) == []
    house.site.changes.restrict(person.receipt_id)
    house.site.zones.pause("lobby")
    assert closed(house, person) == [Closed.ZONE_PAUSED, Closed.RESTRICTED]
    house.withdraw(person)
    assert closed(house, person) == [Closed.ENDED]


def test_a_second_factor_that_is_missing_or_locked_is_told(house: House) -> None:
    house.declare("vault", second_factor="pin")
    person = house.admit("vault")
    assert closed(house, person, "vault") == [Closed.FACTOR_MISSING]
    house.site.factors.set(person.receipt_id, ShownFactor.of(SecondFactor.PIN, "719035"))
    assert closed(house, person, "vault") == []
    for _ in range(MOST_FAILURES):
        house.look_at(person.face, "vault", factor=ShownFactor.of(SecondFactor.PIN, "555111"))
    assert closed(house, person, "vault") == [Closed.FACTOR_LOCKED]


def test_a_consent_of_another_zone_is_as_unknown_as_one_that_never_was(house: House) -> None:
    house.declare("vault")
    person = house.admit("vault")
    with pytest.raises(UnknownError) as elsewhere:
        told(house, person)
    with pytest.raises(UnknownError) as never:
        house.site.rights.explain_refusals("lobby", SFACE_MODEL, ReceiptId("0" * 32))
    assert str(elsewhere.value) == str(never.value)


def test_no_visit_no_name_and_no_id_is_in_the_answer(house: House) -> None:
    person = house.admit()
    house.visit(person)
    text = str(told(house, person))
    assert "Ada" not in text
    assert person.receipt_id not in text
    assert person.subject_id not in text
    assert set(ABOUT_THE_PERSON) == set(Closed)
