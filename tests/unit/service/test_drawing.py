"""Decisions drawn on a frame: every label is in the picture, no label covers a face, and names are in any script."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from volens import Identification, RgbImage
from volens.service.drawing import MATCH, NO_MATCH, annotated, side_by_side

Box = tuple[float, float, float, float]
WIDTH, HEIGHT = 700, 500
SKIN = 200

sides = st.floats(20, 400)
boxes = st.tuples(st.floats(-60, WIDTH - 10), st.floats(-60, HEIGHT - 10), sides, sides)


def found(faces: list[Box], scores: list[float | None]) -> Identification:
    decisions = [
        SimpleNamespace(
            box=box, match=None if score is None else SimpleNamespace(comparison_score=score), is_decided=True
        )
        for box, score in zip(faces, scores, strict=True)
    ]
    return cast("Identification", SimpleNamespace(faces=decisions, purpose="lobby", threshold=0.5))


def frame(width: int = WIDTH, height: int = HEIGHT) -> RgbImage:
    return RgbImage(np.full((height, width, 3), SKIN, np.uint8))


def drawn(faces: list[Box], names: list[str | None], dashed: tuple[int, ...] = ()) -> Image.Image:
    scores = [None if name is None else 0.84 for name in names]
    return annotated(frame(), found(faces, scores), names, dashed)


def pixels_of(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    return int(np.count_nonzero((np.asarray(picture) == colour).all(axis=2)))


@given(st.lists(boxes, min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_no_label_covers_a_face_and_each_is_in_the_picture(faces: list[Box]) -> None:
    picture = np.asarray(drawn(faces, ["Ada Example"] * len(faces)))
    line = 10  # at most, with the lighter edge
    for x, y, width, height in faces:
        left, top = round(max(0, x)) + line, round(max(0, y)) + line
        right, bottom = round(min(WIDTH, x + width)) - line, round(min(HEIGHT, y + height)) - line
        face = picture[top : max(top, bottom), left : max(left, right)]
        others = [one for one in faces if one != (x, y, width, height)]
        if not any(ox < x + width and x < ox + w and oy < y + height and y < oy + h for ox, oy, w, h in others):
            assert (face == SKIN).all()
    assert picture.shape[1] == WIDTH
    assert picture.shape[0] >= HEIGHT


@pytest.mark.parametrize(
    "box", [(250, 300, 200, 200), (250, 0, 200, 500), (0, 100, 200, 500), (550, -30, 200, 300), (0, 0, 700, 500)]
)
def test_the_whole_label_is_drawn_wherever_the_face_is(box: Box) -> None:
    def label(colour: tuple[int, int, int], name: str | None) -> int:
        return pixels_of(drawn([box], [name]), colour)

    # A longer name adds the background of its letters: nothing of a label is cut off.
    assert label(MATCH, "Ada Example Example") > label(MATCH, "Ada Example") > label(MATCH, "A")
    assert label(NO_MATCH, None) > 0


def test_a_face_that_fills_the_picture_has_its_label_in_a_strip_below() -> None:
    assert drawn([(0, 0, WIDTH, HEIGHT)], ["Ada"]).height > HEIGHT
    assert drawn([(250, 100, 200, 200)], ["Ada"]).size == (WIDTH, HEIGHT)


def test_a_small_frame_is_enlarged_and_lines_grow_with_the_picture() -> None:
    small = annotated(frame(92, 112), found([(20, 20, 50, 60)], [0.8]), ["Ada"])
    assert small.width == 6 * 92
    large = annotated(frame(2800, 2000), found([(900, 600, 800, 800)], [None]), [None])
    row = np.asarray(large)[1000]
    assert np.count_nonzero((row == NO_MATCH).all(axis=1)) >= 2 * 10


def test_a_dashed_box_has_the_label_of_a_stranger() -> None:
    box = (250, 100, 200, 200)
    solid, dashed = (pixels_of(drawn([box], [None], dashed=one), NO_MATCH) for one in ((), (0,)))
    assert 0 < dashed < solid
    assert pixels_of(drawn([box], [None], dashed=(0,)), MATCH) == 0


def test_two_pictures_have_titles_above_and_a_caption_below() -> None:
    one = Image.new("RGB", (400, 300), (9, 9, 9))
    sheet = side_by_side(one, one, ("before", "after"), "A caption. " * 20)
    assert sheet.width > 800
    assert sheet.height > 300 + 4 * 20
    assert pixels_of(sheet, (9, 9, 9)) == 2 * 400 * 300
