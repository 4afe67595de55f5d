"""Faces far away in a frame of 1080p: they are found, followed, and no frame without a face costs more than before."""

from collections import Counter

import cv2
import numpy as np
import pytest
from house import House

from tests.unit.identify.test_door_stream import admitted, door
from volens.face import DetectedFace, Extractor, RgbImage, eye_distance_px
from volens.identify.door_stream import FINE_SIDE_PX, WHOLE_FRAME_S

FPS = 25


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Width of the image and longest side of every detection of a stream."""
    found: list[tuple[int, int]] = []
    original = Extractor.detect

    def detect(self: Extractor, image: RgbImage, *, longest_side: int = 640) -> list[DetectedFace]:
        found.append((image.width, longest_side))
        return original(self, image, longest_side=longest_side)

    monkeypatch.setattr(Extractor, "detect", detect)
    return found


def frame(astronaut: RgbImage, extractor: Extractor, eyes_px: float, *places: tuple[int, int]) -> RgbImage:
    """Return a frame of 1080p with the astronaut at some places, the eyes so far apart."""
    head = RgbImage(np.ascontiguousarray(astronaut.pixels[0:260, 90:350]))
    (face, *_) = extractor.detect(head)
    scale = eyes_px / eye_distance_px(face.landmarks)
    tile = cv2.resize(head.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    pixels = np.full((1080, 1920, 3), 110, dtype=np.uint8)
    for x, y in places:
        pixels[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return RgbImage(pixels)


def test_a_face_with_eyes_14_pixels_apart_is_found_and_recognised(
    house: House, extractor: Extractor, astronaut: RgbImage
) -> None:
    person = admitted(house, extractor, astronaut)
    far = frame(astronaut, extractor, 14, (1200, 600))
    assert extractor.detect(far) == [], "a search at 640 does not see it"
    stream = door(house, extractor)
    found = [stream.look(far, number / FPS).faces for number in range(2 * FPS)]
    assert [len(faces) for faces in found] == [1] * len(found)
    assert found[-1][0].subject_id == person.subject_id


def test_two_people_far_away_and_far_apart_are_followed_without_searching_all(
    house: House, extractor: Extractor, astronaut: RgbImage, searched: list[tuple[int, int]]
) -> None:
    house.admit()
    both = frame(astronaut, extractor, 26, (100, 500), (1500, 560))
    stream = door(house, extractor)
    searched.clear()
    found = [stream.look(both, number / FPS).faces for number in range(FPS)]
    assert [len(faces) for faces in found] == [2] * FPS
    assert sum(width == 1920 for width, _ in searched) <= 1 / WHOLE_FRAME_S + 1


def test_an_empty_frame_is_searched_finely_twice_a_second_and_quickly_else(
    house: House, extractor: Extractor, astronaut: RgbImage, searched: list[tuple[int, int]]
) -> None:
    house.admit()
    stream, empty = door(house, extractor), frame(astronaut, extractor, 24)
    searched.clear()
    for number in range(FPS):
        assert stream.look(empty, number / FPS).faces == ()
    assert Counter(side for _, side in searched) == {FINE_SIDE_PX: 2, 320: FPS - 2}


def test_a_near_face_that_appears_between_fine_searches_is_found_at_once(
    house: House, extractor: Extractor, astronaut: RgbImage
) -> None:
    house.admit()
    stream = door(house, extractor)
    assert stream.look(frame(astronaut, extractor, 24), 0.0).faces == ()
    near = frame(astronaut, extractor, 100, (700, 200))
    assert len(stream.look(near, 1 / FPS).faces) == 1


def test_a_frame_of_720p_is_searched_as_before(
    house: House, extractor: Extractor, searched: list[tuple[int, int]]
) -> None:
    house.admit()
    stream = door(house, extractor)
    searched.clear()
    for number in range(3):
        stream.look(RgbImage(np.full((720, 1280, 3), 110, dtype=np.uint8)), number / FPS)
    assert searched == [(1280, 640)] * 3
