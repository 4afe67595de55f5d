"""Painted from one photo: a print, a screen and a bent photo that are turned before the camera, and a turning head.

A paper that turns and bends about the vertical is the same along each of its upright lines, so each column of the
camera's picture shows one of them (pinhole camera). The head is the photo on a relief: an egg with a nose.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from volens.face import DetectedFace, Extractor, Pixels, RgbImage
from volens.face.alignment import nose_offset

SIDE_PX: Final = 320
TURNS: Final = (0, -35, 35, -50, 50, -65, 65)
"""Degrees by which an attacker turns what is shown: a real head is beyond the limit at about 45."""
_FACES_WIDE: Final = 2.2
_DISTANCE: Final = 4.0
_FOCAL_PX: Final = 0.8 * SIDE_PX * _DISTANCE


@dataclass(frozen=True)
class Attack:
    """What is shown to the camera: how the photo is reproduced, and how it is bent (degrees from edge to edge)."""

    name: str
    reproduce: Callable[[Pixels, np.random.Generator], Pixels]
    bends: tuple[int, ...]


def printed(photo: Pixels, noise: np.random.Generator) -> Pixels:
    """Return a print on paper: less contrast, grain, a white margin."""
    grain = noise.normal(0, 6, photo.shape)
    paper = np.clip(35 + 0.78 * photo + grain, 0, 255).astype(np.uint8)
    return np.asarray(cv2.copyMakeBorder(paper, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=(245, 245, 240)))


def on_a_screen(photo: Pixels, noise: np.random.Generator) -> Pixels:
    """Return the picture of a screen: brighter, blue, with a moire of its pixels, a glare, and a black frame."""
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    moire = 8 * np.sin(columns * noise.uniform(0.6, 1.4)) * np.sin(rows * noise.uniform(0.6, 1.4))
    glare = 60 * np.exp(-((columns - noise.uniform(0, 200)) ** 2 + (rows - noise.uniform(0, 80)) ** 2) / 900)
    lit = photo * np.array([0.95, 1.0, 1.12]) + (moire + glare)[:, :, None]
    shown = np.clip(lit, 0, 255).astype(np.uint8)
    return np.asarray(cv2.copyMakeBorder(shown, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=(12, 12, 12)))


ATTACKS: Final = (
    Attack("print", printed, (0,)),
    Attack("screen", on_a_screen, (0,)),
    Attack("bent photo", printed, (-90, 90)),
)


def face_photo(photo: RgbImage, face: DetectedFace) -> Pixels:
    """Return the part of a photo that an attacker would show: the face with some of what is around it."""
    x, y, width, height = face.box
    half = _FACES_WIDE * max(width, height) / 2
    middle, radius = (x + width / 2, y + height / 2), 110
    scale = radius / half
    move = np.array([[scale, 0, radius - scale * middle[0]], [0, scale, radius - scale * middle[1]]])
    size = (2 * radius, 2 * radius)
    return np.asarray(cv2.warpAffine(photo.pixels, move, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE))


def frames_of(attack: Attack, photo: Pixels, seed: int) -> Iterator[RgbImage]:
    """Yield what a camera sees while the attacker turns the reproduction, for each bend and turn."""
    shown = attack.reproduce(photo, np.random.default_rng(seed))
    for bend in attack.bends:
        for turn in TURNS:
            yield RgbImage(before_the_camera(shown, turn, bend))


def before_the_camera(shown: Pixels, turn: float, bend: float) -> Pixels:
    """Return the camera's picture of a sheet that is turned and bent about the vertical, in degrees."""
    height, width = shown.shape[:2]
    along = np.linspace(-0.5, 0.5, 2 * SIDE_PX)
    across, depth = _bent(along, np.radians(bend))
    angle = np.radians(turn)
    x = across * np.cos(angle) + depth * np.sin(angle)
    z = _DISTANCE - across * np.sin(angle) + depth * np.cos(angle)
    column = SIDE_PX / 2 + _FOCAL_PX * x / z
    # What bends away behind the edge is not seen.
    seen = np.maximum.accumulate(column) <= column
    columns = np.arange(SIDE_PX)
    source = np.interp(columns, column[seen], along[seen], left=9, right=9)
    far = np.interp(columns, column[seen], z[seen])
    rows = (np.arange(SIDE_PX)[:, None] - SIDE_PX / 2) * far / _FOCAL_PX
    map_x = np.broadcast_to((source + 0.5) * (width - 1), (SIDE_PX, SIDE_PX)).astype(np.float32)
    map_y = ((rows + 0.5) * (height - 1)).astype(np.float32)
    return np.asarray(cv2.remap(shown, map_x, map_y, cv2.INTER_LINEAR, borderValue=(120, 125, 130)))


def _bent(along: NDArray[np.float64], bend: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if bend == 0:
        return along, np.zeros_like(along)
    return np.sin(along * bend) / bend, (1 - np.cos(along * bend)) / bend


def turned_head(photo: RgbImage, face: DetectedFace, degrees: float) -> RgbImage:
    """Return a photo whose face is turned to the person's own left as a head turns; below 0 to the right, mirrored."""
    right_eye, left_eye, nose = (face.landmarks[row].astype(float) for row in range(3))
    eyes = float(np.hypot(*(left_eye - right_eye)))
    middle = (left_eye + right_eye) / 2
    rows, columns = np.mgrid[: photo.height, : photo.width]
    x, y = (columns - middle[0]) / eyes, (rows - middle[1] - 0.4 * eyes) / eyes
    egg = np.sqrt(np.clip(1 - x**2 - (y / 2) ** 2, 0, None))
    to_nose = ((columns - nose[0]) / eyes / 0.3) ** 2 + ((rows - nose[1] + 0.15 * eyes) / eyes / 0.4) ** 2
    depth = egg + 0.2 * np.exp(-to_nose / 2)
    angle = np.radians(abs(degrees))
    moved = x * np.cos(angle) + (depth - 1) * np.sin(angle)
    source = np.empty(moved.shape, np.float32)
    for row in range(photo.height):
        # What turns away behind another part is not seen.
        seen = np.minimum.accumulate(moved[row][::-1])[::-1] == moved[row]
        source[row] = np.interp(x[row], moved[row][seen], columns[row][seen])
    turned = cv2.remap(photo.pixels, source, rows.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return RgbImage(np.ascontiguousarray(turned if degrees >= 0 else turned[:, ::-1]))


def turning_head(extractor: Extractor, photo: RgbImage) -> dict[str, RgbImage]:
    """Return a photo whose face looks ahead, and the same turned to the left and to the right well beyond the limit.

    Of the turns that are clearly beyond it, the one that resembles the person most, as they differ by chance.
    """
    face = extractor.detect(photo)[0]
    ahead = extractor._embed_face(photo, face).array
    heads = {"ahead": photo}
    for name, sign in (("left", 1), ("right", -1)):
        turns = [turned_head(photo, face, sign * degrees) for degrees in range(36, 47)]
        found = [(turn, extractor.detect(turn)[:1]) for turn in turns]
        beyond = [(turn, one[0]) for turn, one in found if one and sign * nose_offset(one[0].landmarks) > 0.38]
        heads[name] = max(beyond, key=lambda one: float(extractor._embed_face(*one).array @ ahead))[0]
    return heads
