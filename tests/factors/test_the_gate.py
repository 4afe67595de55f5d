"""The second factor is enforced by every function of the matching core: a face alone never matches."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from house import MODEL, THRESHOLD, House, Person
from numpy.typing import NDArray
from pins import comparisons

from tests.factors.conftest import NUMBERS, PINS, of_kind
from tests.unit.store.raw import DATA, seal_again, tamper
from volens.consent import InputError, ProbeEmbedding, Purpose, ShownFactor, TamperError, UnitVector, permit_probe
from volens.index import Decision, identify_many
from volens.store.promises import zone_of

Staff = Callable[[str], tuple[Person, Person]]
KINDS = ("badge", "pin")
BROKEN = "were changed by another program"
OWN = {"badge": NUMBERS[0], "pin": PINS[0]}
OTHERS = {"badge": NUMBERS[1], "pin": PINS[1]}
NOBODYS = {"badge": "0499999999", "pin": "900817"}


def together(
    house: House, zone: str, faces: Sequence[NDArray[np.float32]], shown: ShownFactor | None
) -> list[Decision]:
    """Identify several faces of one frame."""
    with house.store.read() as connection:
        permit = permit_probe(zone_of(connection, Purpose(zone)))
    probes = [ProbeEmbedding(permit, UnitVector(face), MODEL) for face in faces]
    return identify_many(house.store, house.galleries, probes, THRESHOLD, house.store.now(), shown)


def who(decisions: Sequence[Decision]) -> list[str | None]:
    return [one.match and one.match.receipt_id for one in decisions]


WAYS: dict[str, Callable[[House, Person, str, ShownFactor | None], Decision]] = {
    "identify": lambda house, person, zone, shown: house.look_at(person.face, zone, factor=shown),
    "identify_many": lambda house, person, zone, shown: together(house, zone, [person.face], shown)[0],
    "verify_claim": lambda house, person, _zone, shown: house.verify(person, factor=shown),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_known_face_matches_only_with_its_own_factor(house: House, staff: Staff, kind: str, way: str) -> None:
    ann, _ = staff(kind)

    passed = WAYS[way](house, ann, kind, of_kind(kind, OWN[kind]))
    alone = WAYS[way](house, ann, kind, None)
    others = WAYS[way](house, ann, kind, of_kind(kind, OTHERS[kind]))
    nobodys = WAYS[way](house, ann, kind, of_kind(kind, NOBODYS[kind]))

    assert passed.match is not None
    assert passed.match.receipt_id == ann.receipt_id
    assert not passed.factor_required
    assert (alone.match, alone.factor_required, alone.factor_refused) == (None, True, False)
    assert (others.match, others.factor_required, others.factor_refused) == (None, False, True)
    assert others == nobodys
    for withheld in (alone, others):
        assert ann.subject_id not in repr(withheld)
        assert ann.receipt_id not in repr(withheld)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger_gets_one_decision_and_no_factor_is_compared(house: House, staff: Staff, kind: str) -> None:
    ann, _ = staff(kind)
    face, compared = house.face(), list[None]()

    with comparisons(lambda: compared.append(None)):
        answers = [house.look_at(face, kind, factor=of_kind(kind, text[kind])) for text in (OWN, OTHERS, NOBODYS)]
        answers.append(house.look_at(face, kind))

    assert not compared
    assert all(one == Decision(None, THRESHOLD, 0) for one in answers)
    state = house.site.factors.of(ann.receipt_id)
    assert state is not None
    assert state.locked_until is None


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_people_in_one_frame_the_owner_of_the_factor_matches(house: House, staff: Staff, kind: str) -> None:
    ann, bob = staff(kind)
    faces = [bob.face, house.face(), ann.face]

    decisions = together(house, kind, faces, of_kind(kind, OWN[kind]))

    assert who(decisions) == [None, None, ann.receipt_id]
    assert [one.factor_refused for one in decisions] == [True, False, False]
    assert who(together(house, kind, faces, of_kind(kind, OTHERS[kind]))) == [bob.receipt_id, None, None]
    assert who(together(house, kind, faces, None)) == [None] * 3


def test_a_pin_shared_by_two_people_in_the_frame_matches_neither(house: House, staff: Staff) -> None:
    ann, bob = staff("pin")
    house.site.factors.set(bob.receipt_id, ShownFactor.pin(PINS[0]))

    assert who(together(house, "pin", [ann.face, bob.face], ShownFactor.pin(PINS[0]))) == [None, None]
    for person in (ann, bob):
        assert who(together(house, "pin", [person.face], ShownFactor.pin(PINS[0]))) == [person.receipt_id]


def test_the_right_pin_of_one_person_does_not_lock_a_companion(house: House, staff: Staff) -> None:
    ann, bob = staff("pin")
    for _ in range(7):
        assert who(together(house, "pin", [ann.face, bob.face], ShownFactor.pin(PINS[0]))) == [ann.receipt_id, None]
    assert who(together(house, "pin", [bob.face], ShownFactor.pin(PINS[1]))) == [bob.receipt_id]


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_only_removes_matches(house: House, staff: Staff, kind: str) -> None:
    """The same faces at every distance, in a zone with and one without: the factor only takes matches away."""
    ann, _ = staff(kind)
    house.declare("plain")
    twin = house.invite("plain")
    twin.face = ann.face
    house.enroll(twin)
    seen = [UnitVector.normalised(ann.face + house.face() * share).array for share in np.linspace(0, 3, 13)]

    alone = together(house, "plain", seen, None)
    both = together(house, kind, seen, of_kind(kind, OWN[kind]))

    assert [one.match is None for one in both] == [one.match is None for one in alone]
    assert 0 < sum(one.match is None for one in alone) < len(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_without_a_factor_does_not_match(house: House, staff: Staff, kind: str) -> None:
    staff(kind)
    newcomer = house.admit(kind)

    assert house.look_at(newcomer.face, kind).factor_required
    refused = house.look_at(newcomer.face, kind, factor=of_kind(kind, OWN[kind]))
    assert (refused.match, refused.factor_refused) == (None, True)


@pytest.mark.parametrize(("zone", "shown"), [("badge", "pin"), ("pin", "badge"), ("lobby", "pin"), ("lobby", "badge")])
def test_a_factor_that_the_zone_does_not_require_is_refused_by_the_core(
    house: House, staff: Staff, zone: str, shown: str
) -> None:
    person = house.admit() if zone == "lobby" else staff(zone)[0]
    with pytest.raises(InputError, match=r"but this zone requires .*; show that"):
        house.look_at(person.face, zone, factor=of_kind(shown, OWN[shown]))
    with pytest.raises(InputError, match=r"but this zone requires .*; show that"):
        house.verify(person, factor=of_kind(shown, OWN[shown]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_withdrawal_while_the_factor_is_compared_ends_the_match(
    house: House, staff: Staff, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ann, _ = staff(kind)
    asked = {"badge": "badge_owner", "pin": "_count_try"}[kind]
    module = {"badge": "volens.index.factor_gate", "pin": "volens.store.people.second_factors"}[kind]
    original = getattr(__import__(module, fromlist=[asked]), asked)

    def withdrawn(*arguments: object) -> object:
        if kind == "badge":
            house.withdraw(ann)
            return original(*arguments)
        counted = original(*arguments)
        arguments[0].connection.exec_driver_sql("DELETE FROM live_consent")  # type: ignore[attr-defined]
        return counted

    monkeypatch.setattr(f"{module}.{asked}", withdrawn)
    assert house.look_at(ann.face, kind, factor=of_kind(kind, OWN[kind])).match is None


def test_a_badge_row_moved_to_another_person_is_tampering(house: House, staff: Staff) -> None:
    ann, bob = staff("badge")
    path = house.site.home / DATA
    house.site.factors.remove(bob.receipt_id)
    tamper(path, "UPDATE second_factor SET receipt_id = ?, subject_id = ?", bob.receipt_id, bob.subject_id)

    for person in (ann, bob):
        with pytest.raises(TamperError, match=BROKEN):
            house.look_at(person.face, "badge", factor=ShownFactor.badge(NUMBERS[0]))
    seal_again(house.store)
    for person in (ann, bob):
        with pytest.raises(TamperError, match="the row of a badge number is not of the person it was set for"):
            house.look_at(person.face, "badge", factor=ShownFactor.badge(NUMBERS[0]))


def test_a_pin_row_moved_to_another_person_does_not_verify(house: House, staff: Staff) -> None:
    _, bob = staff("pin")
    path = house.site.home / DATA
    house.site.factors.remove(bob.receipt_id)
    tamper(path, "UPDATE second_factor SET receipt_id = ?, subject_id = ?", bob.receipt_id, bob.subject_id)

    with pytest.raises(TamperError, match=BROKEN):
        house.look_at(bob.face, "pin", factor=ShownFactor.pin(PINS[0]))
    seal_again(house.store)
    assert house.look_at(bob.face, "pin", factor=ShownFactor.pin(PINS[0])).match is None


def test_a_visit_is_recorded_only_for_the_person_who_matched(house: House, staff: Staff) -> None:
    ann, bob = staff("badge")
    decisions = together(house, "badge", [ann.face, bob.face], ShownFactor.badge(NUMBERS[0]))
    house.visit(*(person for person in (ann, bob) if person.receipt_id in who(decisions)))
    with house.store.read() as connection:
        noted = connection.exec_driver_sql("SELECT receipt_id FROM passage").scalars().all()
    assert noted == [ann.receipt_id]
