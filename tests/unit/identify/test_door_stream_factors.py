"""A door's stream in a zone that requires a badge or a PIN, with the real models."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from house import House, Person
from pins import cheap_pins

from tests.unit.identify.test_door_stream import SIDE, door, frame
from volens.consent import InputError, ShownFactor
from volens.face import Extractor, RgbImage
from volens.identify import FACTOR_GOOD_S, DoorStream, FaceDecision
from volens.identify.passage import LOOK_EVERY_S
from volens.store.people import MOST_FAILURES, add_reference

TEXT = {"badge": "04A1B2C3", "pin": "719035"}
WRONG = {"badge": "04FFFFFF", "pin": "900817"}
KINDS = ("badge", "pin")


@pytest.fixture(autouse=True)
def cheap() -> Iterator[None]:
    with cheap_pins():
        yield


@pytest.fixture(scope="module")
def tile(astronaut: RgbImage) -> np.ndarray:
    return cv2.resize(astronaut.pixels[0:260, 90:350], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def shown(kind: str, text: str) -> ShownFactor:
    return ShownFactor.badge(text) if kind == "badge" else ShownFactor.pin(text)


def known(house: House, extractor: Extractor, tile: np.ndarray, kind: str) -> tuple[Person, DoorStream]:
    """Enroll the person in a picture with a factor, and return the door's stream."""
    house.declare(kind, second_factor=kind)
    person = house.invite(kind)
    grant, photo = house.grant(person), frame((tile, 500, 300))
    embedding = extractor.consented(extractor.crop(photo, extractor.detect(photo)[0]), grant)
    with house.store.keyring.grant_secret(grant.receipt_id) as secret, house.store.write() as tx:
        add_reference(tx, embedding, secret, licence="none", photo_count=3)
    house.site.factors.set(person.receipt_id, shown(kind, TEXT[kind]))
    return person, door(house, extractor, kind)


def look(stream: DoorStream, tile: np.ndarray, at_s: float) -> FaceDecision:
    (face,) = stream.look(frame((tile, 500, 300)), at_s).faces
    return face


def recognised(stream: DoorStream, tile: np.ndarray, at_s: float) -> FaceDecision:
    """Show the frames of a person who appears, and return the decision of the second look, at `at_s`."""
    assert look(stream, tile, at_s - LOOK_EVERY_S).outcome == "looking"
    return look(stream, tile, at_s)


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_face_requires_the_factor_and_matches_in_the_frame_after_it(
    house: House, extractor: Extractor, tile: np.ndarray, kind: str
) -> None:
    person, stream = known(house, extractor, tile, kind)
    before = recognised(stream, tile, 0.0)
    assert (before.match, before.factor_required, before.subject_id) == (None, True, None)

    with shown(kind, TEXT[kind]) as factor:
        stream.present(factor, 0.02)

    after = look(stream, tile, 0.04)
    assert after.match is not None
    assert after.match.receipt_id == person.receipt_id
    assert not after.factor_required
    assert [before.is_new, after.is_new, look(stream, tile, 0.08).is_new] == [True, True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_is_good_for_one_visit(house: House, extractor: Extractor, tile: np.ndarray, kind: str) -> None:
    _, stream = known(house, extractor, tile, kind)
    stream.present(shown(kind, TEXT[kind]), 0.0)
    seen = [look(stream, tile, step / 4) for step in range(44)]

    passing = int(FACTOR_GOOD_S * 4)
    assert seen[0].outcome == "looking"
    assert all(face.match for face in seen[1:passing])
    assert not any(face.match for face in seen[passing:])
    assert all(face.factor_required for face in seen[passing:])

    # A person who leaves the picture and returns makes another visit.
    stream.present(shown(kind, TEXT[kind]), 20.0)
    assert recognised(stream, tile, 20.3).match
    assert stream.look(frame(), 20.4).faces == ()
    assert recognised(stream, tile, 21.6).factor_required


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("later_s", "passes"), [(FACTOR_GOOD_S, True), (FACTOR_GOOD_S + 0.1, False)])
def test_a_factor_waits_ten_seconds_for_a_face(
    house: House, extractor: Extractor, tile: np.ndarray, kind: str, later_s: float, *, passes: bool
) -> None:
    _, stream = known(house, extractor, tile, kind)
    stream.present(shown(kind, TEXT[kind]), 5.0)
    assert stream.look(frame(), 5.1).faces == ()
    assert (recognised(stream, tile, 5.0 + later_s).match is not None) == passes


def test_a_wrong_pin_counts_as_one_try_however_many_frames_follow(
    house: House, extractor: Extractor, tile: np.ndarray
) -> None:
    person, stream = known(house, extractor, tile, "pin")
    stream.present(shown("pin", WRONG["pin"]), 0.0)
    seen = [look(stream, tile, step / 10) for step in range(40)]

    assert not any(face.match for face in seen)
    assert [face.outcome for face in seen[:3]] == ["looking", "looking", "no_match"]
    assert seen[2].decision.factor_refused
    assert seen[-1].factor_required
    with house.store.read() as connection:
        assert connection.exec_driver_sql("SELECT failures FROM second_factor").scalar() == 1
    for number in range(1, MOST_FAILURES):
        stream.present(shown("pin", WRONG["pin"]), 4.0 + number / 2)
        assert look(stream, tile, 4.1 + number / 2).decision.factor_refused
    stream.present(shown("pin", TEXT["pin"]), 4.0 + MOST_FAILURES / 2)
    assert look(stream, tile, 4.1 + MOST_FAILURES / 2).match is None
    state = house.site.factors.of(person.receipt_id)
    assert state is not None
    assert state.locked_until is not None


def test_after_the_badge_of_another_person_the_right_badge_still_matches(
    house: House, extractor: Extractor, tile: np.ndarray
) -> None:
    person, stream = known(house, extractor, tile, "badge")
    other = house.admit("badge")
    house.site.factors.set(other.receipt_id, ShownFactor.badge(WRONG["badge"]))
    recognised(stream, tile, 0.0)
    stream.present(ShownFactor.badge(WRONG["badge"]), 0.1)
    refused = look(stream, tile, 0.2)
    assert (refused.match, refused.factor_required) == (None, False)

    stream.present(ShownFactor.badge(TEXT["badge"]), 0.3)

    after = look(stream, tile, 0.4)
    assert after.match is not None
    assert after.match.receipt_id == person.receipt_id


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("passing", [True, False])
def test_after_a_withdrawal_the_next_frame_neither_matches_nor_requires_a_factor(
    house: House, extractor: Extractor, tile: np.ndarray, kind: str, *, passing: bool
) -> None:
    person, stream = known(house, extractor, tile, kind)
    if passing:
        stream.present(shown(kind, TEXT[kind]), 0.0)
    first = recognised(stream, tile, 0.1)
    assert (first.match is not None, first.factor_required) == (passing, not passing)

    house.withdraw(person)

    after = look(stream, tile, 0.14)
    assert (after.match, after.factor_required) == (None, False)


def test_a_factor_that_the_zone_does_not_require_is_refused(
    house: House, extractor: Extractor, tile: np.ndarray
) -> None:
    _, stream = known(house, extractor, tile, "badge")
    for of, kind in ((stream, "pin"), (door(house, extractor), "pin"), (door(house, extractor), "badge")):
        with pytest.raises(InputError, match=r"but this zone requires .*; show that"):
            of.present(shown(kind, TEXT[kind]), 0.0)


def test_the_stream_wipes_its_own_copy_of_a_factor_and_not_the_callers(
    house: House, extractor: Extractor, tile: np.ndarray
) -> None:
    _, stream = known(house, extractor, tile, "pin")
    factor = shown("pin", TEXT["pin"])
    stream.present(factor, 0.0)
    own = stream._factor
    assert own is not None
    assert recognised(stream, tile, 0.3).match
    with pytest.raises(ValueError, match="wiped after use"):
        _ = own.buffer
    assert bytes(factor.buffer) == TEXT["pin"].encode()
    for end in (lambda: stream.present(factor, 0.4), stream.close, lambda: stream.look(frame(), 99.0)):
        stream.present(factor, 0.4)
        own = stream._factor
        end()
        assert own is not None
        with pytest.raises(ValueError, match="wiped after use"):
            _ = own.buffer
