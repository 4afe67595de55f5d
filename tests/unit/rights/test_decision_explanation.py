"""What the doors decided about a person, told to the person who proves the consent, and to nobody else."""

from collections.abc import Iterator

import pytest
from house import MODEL, House
from pins import cheap_pins

from tests.unit.store.raw import DATA, tamper
from volens.consent import InputError, NoLiveConsentError, SecondFactor, ShownFactor
from volens.rights import Explanation
from volens.store.people import MOST_FAILURES
from volens.store.programs import Role


@pytest.fixture(autouse=True)
def _pins_cost_nothing() -> Iterator[None]:
    with cheap_pins():
        yield


def told(house: House) -> Explanation:
    return house.site.rights.explain(code=house.people[0].code)


def test_visits_of_the_last_week_are_told_with_their_door(house: House) -> None:
    person, other = house.admit(), house.admit()
    door, _ = house.site.programs.credentials.issue(label="lobby door", role=Role.DOOR, zone="lobby")
    house.visit(person)
    house.clock.move(days=8)
    house.visit(person, caller=door.credential_id)
    house.clock.move(minutes=1)
    house.visit(person, other)

    assert [(one.minute, one.kind, one.door) for one in told(house).visits] == [
        (house.clock.time, "identify", None),
        (house.clock.time.replace(minute=0), "identify", "lobby door"),
    ]
    assert told(house) == house.site.rights.explain(receipt=person.take_home.to_json())


def test_an_enrolled_person_is_told_that_nothing_keeps_the_door_closed(house: House) -> None:
    house.admit()
    assert told(house).closed_because == ()


def test_the_words_name_what_is_not_kept_and_no_score(house: House) -> None:
    house.visit(house.admit())
    text = str(told(house))
    assert "leaves no record" in text
    assert "no comparison score of a door is kept" in text
    assert MODEL not in text
    assert "Ada" not in text


def test_a_person_without_photos_is_told_so(house: House) -> None:
    house.invite()
    (reason,) = told(house).closed_because
    assert "not enrolled" in reason


def test_an_expired_consent_and_an_ended_one_are_told_apart(house: House) -> None:
    house.visit(house.admit())
    house.clock.move(days=91)
    (reason,) = told(house).closed_because
    assert "ended by itself (expired)" in reason
    house.site.sweep()
    gone = told(house)
    assert gone.ended is not None
    assert (gone.ended[0], gone.visits) == ("expired", ())
    assert "has ended" in gone.closed_because[0]


def test_a_changed_record_is_told(house: House) -> None:
    person = house.admit()
    longer = "UPDATE live_consent SET expires_at = '2199-01-01T00:00:00Z' WHERE receipt_id = ?"
    tamper(house.site.home / DATA, longer, person.receipt_id)
    assert "changed by another program" in told(house).closed_because[0]


def test_a_missing_and_a_locked_second_factor_are_told(house: House) -> None:
    house.declare("vault", second_factor="pin")
    person = house.admit("vault")
    assert "none is set for you" in told(house).closed_because[0]

    house.site.factors.set(person.receipt_id, ShownFactor.of(SecondFactor.PIN, "719035"))
    assert told(house).closed_because == ()
    for _ in range(MOST_FAILURES):
        house.look_at(person.face, "vault", factor=ShownFactor.of(SecondFactor.PIN, "555111"))
    assert "locked for you until" in told(house).closed_because[0]


def test_only_a_receipt_or_code_of_this_site_is_answered(house: House) -> None:
    person = house.admit()
    explain = house.site.rights.explain
    with pytest.raises(NoLiveConsentError):
        explain(code="XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-X")
    for wrong in ({}, {"code": person.code, "receipt": person.take_home.to_json()}, {"code": "guess"}):
        with pytest.raises(InputError):
            explain(**wrong)  # type: ignore[arg-type]


def test_an_explanation_changes_nothing(house: House) -> None:
    house.admit()
    before = house.store.generation()
    told(house)
    assert house.store.generation() == before
