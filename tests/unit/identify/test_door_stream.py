"""A door's stream with the real models: a face is tracked, seldom embedded, and never matches without consent."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from house import House, Person

from volens import Identification
from volens.consent import InputError, Purpose, RefusedError
from volens.consent.zone import FpirTarget
from volens.face import Extractor, RgbImage
from volens.identify import AskRules, DoorStream, Recognizer
from volens.identify.passage import DECIDE_WITHIN_S, LOOK_EVERY_S
from volens.index import Match
from volens.store.people import add_reference

FPS = 25
SECOND_LOOK = round(LOOK_EVERY_S * FPS)
"""The first frame in which a face can be recognised."""
SIDE = 260


@pytest.fixture(scope="module")
def astronaut_tile(astronaut: RgbImage) -> np.ndarray:
    """The astronaut's head and shoulders, so large that the face is 100 pixels wide."""
    return cv2.resize(astronaut.pixels[0:260, 90:350], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def frame(*tiles: tuple[np.ndarray, int, int]) -> RgbImage:
    pixels = np.full((720, 1280, 3), 110, dtype=np.uint8)
    for tile, x, y in tiles:
        pixels[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return RgbImage(pixels)


def admitted(house: House, extractor: Extractor, photo: RgbImage) -> Person:
    """Enroll the person in a photo, with the real model."""
    person = house.invite()
    grant = house.grant(person)
    embedding = extractor.consented(extractor.crop(photo, extractor.detect(photo)[0]), grant)
    with house.store.keyring.grant_secret(grant.receipt_id) as secret, house.store.write() as tx:
        add_reference(tx, embedding, secret, licence="none", photo_count=3)
    return person


def door(house: House, extractor: Extractor, zone: str = "lobby") -> DoorStream:
    """Watch a zone that identifies everyone who passes; what asks for a decision is in `test_asking_first`."""
    house.let_pass(zone)
    return DoorStream(Recognizer(house.site.installation, lambda: extractor), Purpose(zone))


def walk(stream: DoorStream, tile: np.ndarray, steps: Sequence[int], start: int = 0) -> list[Identification]:
    return [stream.look(frame((tile, 100 + 8 * step, 200)), (start + step) / FPS) for step in steps]


def matches(found: Sequence[Identification]) -> list[Match | None]:
    assert all(len(one.faces) == 1 for one in found)
    return [one.faces[0].match for one in found]


def test_a_moving_face_matches_from_its_second_look_on_and_is_embedded_once_a_second(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    person = admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream, before = door(house, extractor), extractor.embeddings_computed

    found = walk(stream, astronaut_tile, range(2 * FPS))

    looking, recognised = found[:SECOND_LOOK], found[SECOND_LOOK:]
    assert {one.faces[0].outcome for one in looking} == {"looking"}
    assert [match and match.receipt_id for match in matches(recognised)] == [person.receipt_id] * len(recognised)
    assert [one.faces[0].is_new for one in recognised] == [True] + [False] * (len(recognised) - 1)
    assert recognised[0].faces[0].looks == 2
    assert extractor.embeddings_computed - before == 3
    boxes = np.array([one.faces[0].box for one in found])
    assert np.abs(np.diff(boxes[:, 0]) - 8).max() < 6  # in pixels of the frame, for any searched region


def test_the_next_frame_is_decided_at_the_threshold_of_the_zone_as_it_is_then(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream, thresholds = door(house, extractor), extractor.model.thresholds
    (before,) = walk(stream, astronaut_tile, [0])

    house.site.zones.set_fpir("lobby", "0.01%")

    (after,) = walk(stream, astronaut_tile, [1])
    assert before.threshold == thresholds.identification(1, FpirTarget.ORDINARY)
    assert after.threshold == thresholds.identification(1, FpirTarget.STRICT) > before.threshold


def test_after_a_withdrawal_the_person_does_not_match_in_the_next_frame(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    person = admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream = door(house, extractor)
    assert matches(walk(stream, astronaut_tile, range(8)))[-1]

    house.withdraw(person)

    assert matches(walk(stream, astronaut_tile, range(8, 14))) == [None] * 6


def test_a_person_who_withdraws_between_two_looks_is_never_recognised(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    person = admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream = door(house, extractor)
    walk(stream, astronaut_tile, range(2))

    house.withdraw(person)

    assert matches(walk(stream, astronaut_tile, range(2, 2 * FPS))) == [None] * (2 * FPS - 2)


def test_after_the_expiry_the_person_does_not_match_in_the_next_frame(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream = door(house, extractor)
    assert matches(walk(stream, astronaut_tile, range(8)))[-1]

    house.clock.move(days=90)

    assert matches(walk(stream, astronaut_tile, range(8, 10))) == [None] * 2


def test_a_stranger_has_some_looks_and_one_decision_and_is_then_left_alone(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    house.admit()
    stream, before, frames = door(house, extractor), extractor.embeddings_computed, 4 * FPS

    found = [stream.look(frame((astronaut_tile, 500, 200)), number / FPS) for number in range(frames)]

    assert matches(found) == [None] * frames
    (decided,) = [number for number, one in enumerate(found) if one.faces[0].is_new]
    assert decided / FPS == pytest.approx(DECIDE_WITHIN_S, abs=1 / FPS)
    assert {one.faces[0].outcome for one in found[:decided]} == {"looking"}
    assert {one.faces[0].outcome for one in found[decided:]} == {"no_match"}
    assert extractor.embeddings_computed - before == found[decided].faces[0].looks == 8


def test_at_ten_frames_a_second_a_person_is_recognised_in_the_third_frame(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream = door(house, extractor)
    found = [stream.look(frame((astronaut_tile, 500, 300)), number / 10) for number in range(3)]
    assert [one.faces[0].outcome for one in found] == ["looking", "looking", "match"]


def test_photos_that_do_not_follow_each_other_are_decided_by_one_look(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    person = admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    recognizer = Recognizer(house.site.installation, lambda: extractor)
    stream = DoorStream(recognizer, Purpose("lobby"), photos=True, rules=AskRules(near=0.04))
    photos = [frame((astronaut_tile, 500, 300)), RgbImage(np.ascontiguousarray(astronaut_tile[::2, ::2]))]
    for image in photos:
        (face,) = stream.look(image, 0.0).faces
        assert (face.subject_id, face.looks, face.is_new) == (person.subject_id, 1, True)
    house.withdraw(person)
    (face,) = stream.look(photos[0], 0.0).faces
    assert (face.outcome, face.looks, face.is_new) == ("no_match", 1, True)


def test_a_person_who_joins_is_detected_within_half_a_second(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream = door(house, extractor)
    walk(stream, astronaut_tile, range(2))
    mirrored = np.ascontiguousarray(astronaut_tile[:, ::-1])

    seen = [
        len(stream.look(frame((astronaut_tile, 116, 200), (mirrored, 900, 300)), (2 + step) / FPS).faces)
        for step in range(FPS // 2 + 2)
    ]

    assert seen[0] == 1
    assert seen[-1] == 2


def test_the_whole_frame_is_searched_when_a_face_jumps_or_leaves(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    person = admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream = door(house, extractor)
    walk(stream, astronaut_tile, range(2))

    (elsewhere,) = stream.look(frame((astronaut_tile, 1000, 400)), 2 / FPS).faces
    (decided,) = stream.look(frame((astronaut_tile, 1000, 400)), 2 / FPS + LOOK_EVERY_S).faces
    gone = stream.look(frame(), 3 / FPS + LOOK_EVERY_S)

    assert elsewhere.outcome == "looking", "another face, as far as the stream knows: a visit of its own"
    assert decided.match is not None
    assert decided.match.receipt_id == person.receipt_id
    assert gone.faces == ()


def test_a_face_is_not_embedded_before_it_is_near_enough(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream, before = door(house, extractor), extractor.embeddings_computed
    monkeypatch.setattr("volens.identify.door_stream.MIN_EYE_DISTANCE_PX", 30)
    far = cv2.resize(astronaut_tile, (120, 120), interpolation=cv2.INTER_AREA)

    assert matches([stream.look(frame((far, 570, 370)), 0.0)]) == [None]
    assert extractor.embeddings_computed == before

    near = frame((astronaut_tile, 500, 300))
    assert matches([stream.look(near, at_s) for at_s in (1 / FPS, 1 / FPS + LOOK_EVERY_S)])[-1]


def test_no_embedding_is_kept_between_frames(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = Extractor.probes

    def watched(self: Extractor, *arguments: object) -> object:
        made.extend(original(self, *arguments))  # type: ignore[arg-type]
        return made[-1:]

    monkeypatch.setattr(Extractor, "probes", watched)
    walk(door(house, extractor), astronaut_tile, range(8))

    assert len(made) == 2
    assert not any(one.vector.array.any() for one in made)


def test_a_stream_needs_a_zone_with_a_gallery(house: House, extractor: Extractor) -> None:
    house.declare("vault", custody="subject_key")
    recognizer = Recognizer(house.site.installation, lambda: extractor)
    with pytest.raises(RefusedError):
        DoorStream(recognizer, Purpose("vault"))
    with pytest.raises(InputError):
        DoorStream(recognizer, Purpose("nowhere"))


def test_a_face_that_is_turned_is_never_matched_and_the_reason_is_given(
    house: House, extractor: Extractor, astronaut: RgbImage
) -> None:
    turned = RgbImage(np.ascontiguousarray(astronaut.pixels[::-1, ::-1]))
    # The worst case: a reference of the same person, upside down too, as an older version could enroll.
    person = admitted(house, extractor, turned)
    recognizer = Recognizer(house.site.installation, lambda: extractor)
    extractor.embeddings_computed = 0

    found = recognizer.identify(Purpose("lobby"), turned)
    claimed = recognizer.verify(person.take_home.receipt, turned, None)
    stream = door(house, extractor)
    streamed = [stream.look(turned, number / 5) for number in range(10)][-1]

    decided = [*found.faces, *streamed.faces, *([] if claimed is None else [claimed])]
    assert len(decided) >= 3
    assert {(face.outcome, face.reason, face.match) for face in decided} == {("no_match", "turned", None)}
    assert extractor.embeddings_computed == 0


def test_an_upright_face_beside_one_that_is_turned_still_matches(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    both = RgbImage(np.hstack([astronaut_tile, astronaut_tile[::-1, ::-1]]))
    person = admitted(house, extractor, RgbImage(astronaut_tile))
    recognizer = Recognizer(house.site.installation, lambda: extractor)
    faces = {face.box[0] < SIDE: face for face in recognizer.identify(Purpose("lobby"), both).faces}
    assert faces[True].subject_id == person.subject_id
    assert (faces[False].match, faces[False].reason) == (None, "turned")


def test_a_person_who_pauses_does_not_match_from_the_next_frame_on(
    house: House, extractor: Extractor, astronaut_tile: np.ndarray
) -> None:
    person = admitted(house, extractor, frame((astronaut_tile, 500, 300)))
    stream = door(house, extractor)
    assert matches(walk(stream, astronaut_tile, range(8)))[-1]
    house.site.changes.restrict(person.receipt_id)
    assert not any(matches(walk(stream, astronaut_tile, range(8, 40))))
