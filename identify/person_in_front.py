"""Chooses the one face that a kiosk decides about: the person in front of it, not those who pass behind."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from volens.face import DetectedFace

SEVERAL_FROM: Final = 0.6
"""A second face of at least this share of the width of the largest one stands in front of the kiosk, too."""
MIN_SHARE: Final = 0.1
"""Least width of a face, as a share of the frame's shorter side."""


class Obstacle(StrEnum):
    """Why no face of a frame is compared."""

    NO_FACE = "no_face"
    SEVERAL_PEOPLE = "several_people"
    TOO_FAR = "too_far"


def person_in_front(faces: Sequence[DetectedFace], width_px: int, height_px: int) -> DetectedFace | Obstacle:
    """Return the face of the person in front of a kiosk, or why there is none.

    Of people in the background, whose faces are much smaller, no embedding is computed: they did not ask.

    Args:
        faces: all faces of a frame, largest first, as `Extractor.detect` returns them.
        width_px: width of the frame.
        height_px: height of the frame.

    Not checked: whether the face is live, or whose turn it is if the largest face is not the person who asked.
    """
    if not faces:
        return Obstacle.NO_FACE
    widest = faces[0].box[2]
    if any(face.box[2] >= SEVERAL_FROM * widest for face in faces[1:]):
        return Obstacle.SEVERAL_PEOPLE
    if widest < MIN_SHARE * min(width_px, height_px):
        return Obstacle.TOO_FAR
    return faces[0]
