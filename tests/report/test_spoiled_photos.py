"""Enrollment photos on real faces: how many good ones are refused, and how many that were spoiled are accepted.

Run with ``-s`` to see the table of docs/adr/0065. The AT&T faces are never part of the product; set VOLENS_ATT_FACES to
where they are.
"""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.degradations import Spoil, moved, painted
from volens.face import DetectedFace, Extractor, ModelCache, Pixels, QualityRules, RgbImage, read_image

ROOT = Path(__file__).parents[2]
FACES = Path(os.environ.get("VOLENS_ATT_FACES", ROOT.parent / "shared" / "data" / "att_faces"))

pytestmark = [
    pytest.mark.att_faces,
    pytest.mark.skipif(not FACES.is_dir(), reason="the AT&T faces are not here; set VOLENS_ATT_FACES to their folder"),
]

MOVED = 13

SPOILED: dict[str, Spoil] = {
    "moved to the side, 13 px": moved(MOVED, 1, 0),
    "moved up and down": moved(MOVED, 0, 1),
    "moved along a diagonal": moved(MOVED, 1, 1),
    "moved along the other": moved(MOVED, 1, -1),
    "black bar over the eyes": painted((0, 0, 0), -0.5, -0.28, 1.5, 0.28),
    "grey bar over the eyes": painted((128, 128, 128), -0.5, -0.28, 1.5, 0.28),
    "black bar over the mouth": painted((0, 0, 0), -0.2, 0.9, 1.2, 1.5),
    "blue mask": painted((120, 170, 215), -0.4, 0.5, 1.4, 1.9),
    "white mask": painted((255, 255, 255), -0.4, 0.5, 1.4, 1.9),
    "turned by 90 degrees": lambda pixels, _: np.rot90(pixels, 1),
    "upside down": lambda pixels, _: np.rot90(pixels, 2),
    "turned by 270 degrees": lambda pixels, _: np.rot90(pixels, 3),
    "cut off at the eyes": lambda pixels, face: pixels[int(face.landmarks[0][1]) :],
}


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    ModelCache.default().pull()
    return Extractor.load_default()


@pytest.fixture(scope="module")
def photos(extractor: Extractor) -> list[tuple[Pixels, DetectedFace]]:
    found = []
    for path in sorted(FACES.glob("s*/*")):
        image = read_image(path)
        (face,) = extractor.detect(image)
        found.append((image.pixels, face))
    return found


def reason(extractor: Extractor, pixels: Pixels) -> str:
    """Return why an enrollment refuses a photo, in a word; empty if it does not."""
    image = RgbImage(np.ascontiguousarray(pixels))
    found = extractor.detect(image)
    if len(found) != 1:
        return "no single face"
    return next((one.reason.value for one in QualityRules().problems(extractor.assess(image, found[0]))), "")


def test_at_most_one_in_a_hundred_good_photos_is_refused(
    extractor: Extractor, photos: list[tuple[Pixels, DetectedFace]]
) -> None:
    found = Counter(reason(extractor, pixels) for pixels, _ in photos)
    print(f"\n{len(photos)} good photos: {dict(found)}")
    assert 1 - found[""] / len(photos) <= 0.01


@pytest.mark.parametrize("how", SPOILED)
def test_nineteen_in_twenty_spoiled_photos_are_refused(
    extractor: Extractor, photos: list[tuple[Pixels, DetectedFace]], how: str
) -> None:
    some = photos[::8]
    found = Counter(reason(extractor, SPOILED[how](*photo)) for photo in some)
    print(f"\n{how}: {len(some)} photos: {dict(found)}")
    assert found[""] / len(some) <= 0.05
