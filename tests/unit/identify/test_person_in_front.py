"""A kiosk decides about the one person in front of it, or says why not."""

import numpy as np
import pytest

from volens.face import DetectedFace
from volens.identify import Obstacle
from volens.identify.person_in_front import person_in_front


def face(width_px: float) -> DetectedFace:
    return DetectedFace((0.0, 0.0, width_px, 1.3 * width_px), np.zeros((5, 2), dtype=np.float32), 0.9)


@pytest.mark.parametrize(
    ("widths_px", "chosen"),
    [
        ([], Obstacle.NO_FACE),
        ([200], 0),
        ([200, 119], 0),
        ([200, 120], Obstacle.SEVERAL_PEOPLE),
        ([200, 90, 60], 0),
        ([200, 90, 150], Obstacle.SEVERAL_PEOPLE),
        ([48], 0),
        ([47], Obstacle.TOO_FAR),
        ([47, 46], Obstacle.SEVERAL_PEOPLE),
    ],
)
@pytest.mark.parametrize(("width_px", "height_px"), [(640, 480), (480, 640)])
def test_the_largest_face_is_chosen_if_it_is_near_and_alone(
    widths_px: list[float], chosen: int | Obstacle, width_px: int, height_px: int
) -> None:
    faces = [face(width) for width in widths_px]
    found = person_in_front(faces, width_px, height_px)
    assert found is (chosen if isinstance(chosen, Obstacle) else faces[chosen])
