"""Ask first, with the real model through `Site.watch`: the embeddings that a door computes are counted."""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from house import House, Person
from pins import cheap_pins

from tests.unit.identify.test_door_stream import admitted, frame
from volens import Identification
from volens.consent import ConsentedEmbedding, InputError, RefusedError, ShownFactor, UnitVector
from volens.consent.errors import ZonePausedError
from volens.consent.zone import Trigger
from volens.face import Extractor, RgbImage
from volens.identify import AskRules, DoorStream
from volens.identify.passage import DECIDE_WITHIN_S, LOOK_EVERY_S
from volens.store.people import add_reference

FPS = 10
SECOND_LOOK = round(LOOK_EVERY_S * FPS)
"""How many frames after the first look a face can be recognised."""
NEAR_PX, FAR_PX = 330, 170
BADGE, PIN = "04A1B2C3", "719035"
MIDDLE = (470, 200)
Watch = Callable[..., DoorStream]


@pytest.fixture(scope="module")
def near(astronaut: RgbImage) -> np.ndarray:
    """A person whose eyes are 0.08 of the frame's height apart."""
    return cv2.resize(astronaut.pixels[0:260, 90:350], (NEAR_PX, NEAR_PX), interpolation=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def far(astronaut: RgbImage) -> np.ndarray:
    return cv2.resize(astronaut.pixels[0:260, 90:350], (FAR_PX, FAR_PX), interpolation=cv2.INTER_AREA)


@pytest.fixture
def watch(house: House, extractor: Extractor) -> Watch:
    """`Site.watch` of a site with the real model."""
    house.reopen(lambda: extractor)
    return lambda zone="lobby", **options: house.site.watch(zone, **options)


def enrolled(house: House, extractor: Extractor, tile: np.ndarray, factor: str) -> Person:
    """Enroll the person in a picture in a zone with a second factor."""
    house.declare(factor, second_factor=factor)
    person, photo = house.invite(factor), frame((tile, *MIDDLE))
    embedding = extractor.consented(extractor.crop(photo, extractor.detect(photo)[0]), house.grant(person))
    with house.store.keyring.grant_secret(person.receipt_id) as secret, house.store.write() as tx:
        add_reference(tx, embedding, secret, licence="none", photo_count=3)
    return person


def stand(
    stream: DoorStream, tile: np.ndarray, seconds: float, start_s: float = 0.0, at: tuple[int, int] = MIDDLE
) -> list[Identification]:
    image = frame((tile, *at))
    return [stream.look(image, start_s + number / FPS) for number in range(round(seconds * FPS))]


def everything_in(house: House) -> list[str]:
    """Return all rows of the data file and the log."""
    rows: list[str] = []
    for file in sorted(house.site.home.glob("*.db")):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            rows += connection.iterdump()
    assert any(row.startswith('INSERT INTO "second_factor"') for row in rows)
    return rows


def matched(found: Sequence[Identification]) -> list[bool]:
    return [any(face.match for face in one.faces) for one in found]


def test_no_embedding_is_computed_of_people_who_walk_by(
    house: House, extractor: Extractor, near: np.ndarray, far: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    stream, before = watch(), extractor.embeddings_computed
    across = [frame((near, 90 * step, 200)) for step in range(11)]

    found = stand(stream, far, 3.0)  # stops, but far away
    found += stand(stream, near, 3.0, start_s=10.0, at=(0, 200))  # stops near, but beside the region
    found += [stream.look(image, 20 + number / FPS) for number, image in enumerate(across)]  # near, without stopping
    found += stand(stream, near, 0.9, start_s=30.0)  # stops for too short a time

    assert extractor.embeddings_computed == before
    assert not any(one.faces for one in found)
    assert all(len(extractor.detect(frame((tile, *MIDDLE)))) == 1 for tile in (near, far))


def test_a_person_who_stops_has_one_visit_after_the_dwell(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    stream, before = watch(), extractor.embeddings_computed

    seen = matched(stand(stream, near, 6.0))

    assert seen.index(True) == FPS + SECOND_LOOK  # the dwell of one second
    assert extractor.embeddings_computed - before == 2
    assert all(seen[FPS + SECOND_LOOK : 2 * FPS + SECOND_LOOK])
    assert not any(seen[2 * FPS + SECOND_LOOK :])  # what was decided is not repeated without asking again


def test_after_a_decision_a_step_back_or_a_button_asks_again(
    house: House, extractor: Extractor, near: np.ndarray, far: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    stream = watch()
    assert any(matched(stand(stream, near, 4.0)))
    assert not any(matched(stand(stream, near, 2.0, start_s=4.0)))
    stream.request(6.0)
    assert matched(stand(stream, near, 0.3, start_s=6.0)) == [False, False, True]
    stand(stream, far, 1.5, start_s=7.0)
    assert any(matched(stand(stream, near, 2.0, start_s=9.0)))


def test_in_a_zone_for_requests_not_even_detection_runs_before_one(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    house.site.zones.set_trigger("lobby", "request")
    stream, before = watch(), extractor.embeddings_computed
    with monkeypatch.context() as context:
        context.setattr(Extractor, "detect", lambda *_, **__: pytest.fail("a face was detected"))
        stand(stream, near, 3.0)
    assert extractor.embeddings_computed == before

    stream.request(3.0)

    assert matched(stand(stream, near, 0.3, start_s=3.0)) == [False, False, True]
    assert extractor.embeddings_computed - before == 2


def test_a_stranger_who_asks_is_decided_once_and_only_a_request_ends_the_pause(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    house.admit()
    stream, before = watch(rules=AskRules(dwell_s=0.3)), extractor.embeddings_computed

    found = stand(stream, near, 3.0)
    stream.set_rules(AskRules(near=0.5))  # as if the person took a step back
    stand(stream, near, 0.1, start_s=3.0)
    stream.set_rules(AskRules(dwell_s=0.3))
    again = stand(stream, near, 0.9, start_s=3.1)

    (decided,) = [number for number, one in enumerate(found) if any(face.is_new for face in one.faces)]
    assert decided / FPS == pytest.approx(0.3 + DECIDE_WITHIN_S)
    assert {face.outcome for one in found[decided:] for face in one.faces} == {"no_match"}
    assert not any(face.is_new for one in again for face in one.faces)
    assert extractor.embeddings_computed - before == found[decided].faces[0].looks == 8

    stream.request(4.0)

    assert [one.faces[0].outcome for one in stand(stream, near, 0.1, start_s=4.0)] == ["looking"]
    assert extractor.embeddings_computed - before == 9


def test_a_face_that_is_turned_asks_on_until_it_can_be_compared(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    house.site.zones.set_trigger("lobby", "request")
    stream, before = watch(), extractor.embeddings_computed
    stream.request(0.0)

    turned = stand(stream, np.ascontiguousarray(near[::-1, ::-1]), 4.0)

    (said,) = [face for one in turned for face in one.faces if face.is_new]
    assert (said.outcome, said.reason, said.looks) == ("no_match", "turned", 0)
    assert extractor.embeddings_computed == before
    assert any(matched(stand(stream, near, 1.0, start_s=4.0)))


def test_a_request_without_a_face_ends_after_its_timeout(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    house.site.zones.set_trigger("lobby", "request")
    stream, before = watch(rules=AskRules(timeout_s=2.0)), extractor.embeddings_computed
    stream.request(0.0)
    assert stream.look(frame(), 1.0).faces == ()
    assert not any(matched(stand(stream, near, 1.0, start_s=2.0)))
    assert extractor.embeddings_computed == before


def test_a_badge_first_is_compared_one_to_one_and_only_after_it_was_shown(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    person = enrolled(house, extractor, near, "badge")
    house.site.factors.set(person.receipt_id, ShownFactor.badge(BADGE))
    assert house.site.zones.get("badge").trigger is Trigger.REQUEST
    stream, before = watch("badge"), extractor.embeddings_computed
    stand(stream, near, 2.0)
    assert extractor.embeddings_computed == before

    with ShownFactor.badge(BADGE) as badge:
        stream.present(badge, 2.0)
    (found,) = stand(stream, near, 0.1, start_s=2.0)

    (face,) = found.faces
    assert face.match is not None
    assert face.match.receipt_id == person.receipt_id
    assert (face.looks, face.is_new) == (1, True)
    assert (stream._asking._badge, stream._asking._claim, stream._asking._visiting) == (None, None, None)
    assert found.threshold == extractor.model.thresholds.claim_value
    assert extractor.embeddings_computed - before == 1
    assert not any(one.faces for one in stand(stream, near, 1.0, start_s=4.0))
    assert house.galleries.built() == {}
    assert extractor.embeddings_computed - before == 1


def test_a_badge_of_no_one_with_a_consent_starts_nothing_and_is_not_kept(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = enrolled(house, extractor, near, "badge")
    house.site.factors.set(person.receipt_id, ShownFactor.badge(BADGE))
    invited = house.invite("badge")  # consented, and not enrolled: there is nothing to compare with
    house.site.factors.set(invited.receipt_id, ShownFactor.badge("04111111"))
    stream, before = watch("badge"), extractor.embeddings_computed
    monkeypatch.setattr(Extractor, "detect", lambda *_, **__: pytest.fail("the camera was started"))

    def shown(number: str, at_s: float) -> None:
        kept = everything_in(house)
        with ShownFactor.badge(number) as badge:
            stream.present(badge, at_s)
        assert not any(one.faces for one in stand(stream, near, 0.5, start_s=at_s))
        assert stream._factor is None
        assert stream._asking._badge is None
        assert stream._asking._claim is None
        assert everything_in(house) == kept

    shown("04FFFFFF", 0.0)
    shown("04111111", 10.0)
    house.site.changes.restrict(person.receipt_id)
    shown(BADGE, 20.0)
    house.withdraw(person)
    shown(BADGE, 30.0)

    assert extractor.embeddings_computed == before


def test_the_badge_of_another_person_matches_no_one_and_ends_within_its_looks(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    enrolled(house, extractor, near, "badge")
    other = house.invite("badge")
    embedding = ConsentedEmbedding(house.grant(other), UnitVector(other.face), extractor.model.model_id)
    with house.store.keyring.grant_secret(other.receipt_id) as secret, house.store.write() as tx:
        add_reference(tx, embedding, secret, licence="none", photo_count=3)
    house.site.factors.set(other.receipt_id, ShownFactor.badge(BADGE))
    stream, before = watch("badge"), extractor.embeddings_computed
    stream.present(ShownFactor.badge(BADGE), 0.0)

    found = stand(stream, near, 5.0)

    assert not any(matched(found))
    assert extractor.embeddings_computed - before == 8
    assert sum(face.is_new for one in found for face in one.faces) == 1
    assert found[0].faces
    assert not found[-1].faces
    assert stream._asking._badge is None

    house.site.zones.set_trigger("badge", "near")
    stream.request(5.0)

    asked = stand(stream, near, 0.3, start_s=5.0)
    assert [one.faces[0].outcome for one in asked] == ["looking", "looking", "factor_required"]  # two looks, as ever


def test_a_pin_starts_the_search_for_one_visit(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    person = enrolled(house, extractor, near, "pin")
    with cheap_pins():
        house.site.factors.set(person.receipt_id, ShownFactor.pin(PIN))
        stream, before = watch("pin"), extractor.embeddings_computed
        assert not any(one.faces for one in stand(stream, near, 2.0))
        stream.present(ShownFactor.pin(PIN), 2.0)
        assert matched(stand(stream, near, 3.0, start_s=2.0)).index(True) == SECOND_LOOK
    assert extractor.embeddings_computed - before == 3  # two looks, and the second one with the PIN
    assert stream._factor is None


def test_a_pin_is_tried_for_the_largest_face_and_for_no_other(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    person = enrolled(house, extractor, near, "pin")
    house.site.zones.set_trigger("pin", "near")
    smaller = cv2.resize(near, (280, 280), interpolation=cv2.INTER_AREA)
    both = frame((near, 250, 200), (smaller, 700, 230))
    with cheap_pins():
        house.site.factors.set(person.receipt_id, ShownFactor.pin(PIN))
        stream = watch("pin", rules=AskRules(dwell_s=0.3))
        for number in range(3):
            assert stream.look(both, number / FPS).faces == ()
        stream.present(ShownFactor.pin(PIN), 0.3)
        found = [stream.look(both, number / FPS) for number in range(3, 6)]
    assert [face.outcome for face in found[0].faces] == ["looking"] * 2
    assert [face.outcome for face in found[-1].faces] == ["match", "factor_required"]


def test_a_change_of_the_trigger_holds_from_the_next_frame_on(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    stream = watch()
    assert stand(stream, near, 0.1)[0].faces == ()
    house.let_pass()
    assert matched(stand(stream, near, 0.3, start_s=0.1)) == [False, False, True]
    house.site.zones.set_trigger("lobby", "request")
    assert not any(matched(stand(stream, near, 1.0, start_s=2.0)))
    house.site.zones.pause("lobby")
    with pytest.raises(ZonePausedError):
        stream.look(frame(), 5.0)


def test_a_camera_that_changes_its_size_keeps_the_rule(
    house: House, extractor: Extractor, near: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    stream, before = watch(), extractor.embeddings_computed
    half = cv2.resize(frame((near, *MIDDLE)).pixels, (640, 360), interpolation=cv2.INTER_AREA)

    assert not any(matched(stand(stream, near, 0.9)))
    small = [stream.look(RgbImage(half), 1.0 + number / FPS) for number in range(14)]

    assert extractor.embeddings_computed - before == 2
    assert matched(small).index(True) == FPS + SECOND_LOOK  # the same shares of the frame, and the dwell begins anew


def test_a_photo_needs_no_dwell_but_the_person_must_be_near(
    house: House, extractor: Extractor, near: np.ndarray, far: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((near, *MIDDLE)))
    stream, before = watch(photos=True), extractor.embeddings_computed
    assert matched([stream.look(frame((far, *MIDDLE)), 0.0)]) == [False]
    assert extractor.embeddings_computed == before
    assert matched([stream.look(frame((near, *MIDDLE)), 0.1)]) == [True]


def test_rules_can_be_changed_and_a_wrong_one_leaves_the_door_its_rule(
    house: House, extractor: Extractor, far: np.ndarray, watch: Watch
) -> None:
    admitted(house, extractor, frame((far, *MIDDLE)))
    stream = watch()
    with pytest.raises(InputError, match="change --region"):
        stream.set_rules(AskRules(region=(0.9, 0.0, 0.1, 1.0)))
    assert not any(matched(stand(stream, far, 2.0)))
    stream.set_rules(AskRules(near=0.02))
    assert any(matched(stand(stream, far, 2.0, start_s=3.0)))


def test_a_zone_of_another_custody_has_no_stream(house: House, watch: Watch) -> None:
    house.declare("vault", custody="subject_key")
    with pytest.raises(RefusedError):
        watch("vault")
