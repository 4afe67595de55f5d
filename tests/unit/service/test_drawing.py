"""Decisions drawn on a frame."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from volens.service import drawing

SIZE = (320, 240)


@pytest.mark.parametrize("corner", [(100, 240), (300, 236), (-40, 20), (319, -8), (4, 4)])
def test_a_label_lies_in_the_picture_even_if_the_face_reaches_the_edge(corner: tuple[int, int]) -> None:
    def drawn(size: tuple[int, int], at: tuple[int, int]) -> int:
        picture = Image.new("RGB", size)
        font = drawing.ImageFont.load_default(12)
        drawing._label(ImageDraw.Draw(picture), at, "Ada Example  0.84", drawing.MATCH, font)
        return int(np.count_nonzero(np.asarray(picture).any(axis=2)))

    whole = drawn((1000, 1000), (400, 400))
    assert drawn(SIZE, corner) == whole
