"""How far away a door sees a face: ``python -m benchmarks.distance FOLDER [--page]``, two minutes.

The folder has one folder of photos for each person, such as the AT&T faces. A fourth photo of each person is scaled so
that the eyes are some pixels apart, and placed in a grey frame of 1920x1080 with the noise of a camera.

1. Recall: the share of faces that the detector finds, when it scales the frame to some longest side, and as a single
   image and a photo of an enrollment are searched (`Extractor.search`).
2. Identified: the share whose embedding reaches the threshold of one look, in a gallery of all people, with the
   person's own reference, the mean of three other photos.
3. Cost: CPU time of one detection in the whole frame, one thread, median.

Frames are made: no motion, no compression, no background.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import ENROLLED_PHOTOS, mean_of, photo_arguments, put_in_page
from volens import read_image
from volens.face import DetectedFace, Extractor, RgbImage, eye_distance_px
from volens.face.thresholds import SFACE
from volens.identify import Box, overlap

BEGIN: Final = "<!-- begin: python -m benchmarks.distance -->"
END: Final = "<!-- end: python -m benchmarks.distance -->"
FRAME: Final = (1920, 1080)
EYES_PX: Final = (12, 16, 24, 32, 48)
SIDES_PX: Final = (320, 640, 960, 1280, 1920)
WAYS: Final[dict[str, Callable[[Extractor, RgbImage], list[DetectedFace]]]] = {
    **{str(side): partial(Extractor.detect, longest_side=side) for side in SIDES_PX},
    "single image": Extractor.search,
    "enrollment": partial(Extractor.search, thorough=True),
}
"""How a frame is searched, by the name in the table."""
_FOUND_OVERLAP: Final = 0.3
_GREY: Final = 110.0
_NOISE: Final = 3.0
_SEED: Final = 20261130


_HEAD: Final = ("longest side", "CPU ms", *(f"eyes {one} px" for one in EYES_PX))

Person: TypeAlias = tuple[RgbImage, DetectedFace, NDArray[np.float32]]
"""A photo, the face in it, and the person's own reference."""


@final
@dataclass(slots=True)
class FrameCounts:
    """How many faces of one size were found and identified, in frames that were searched in one way."""

    frames: int = 0
    found: int = 0
    identified: int = 0
    others: int = 0
    cpu_ns: list[int] = field(default_factory=list)


def people(extractor: Extractor, folder: Path) -> list[Person]:
    """Return a photo and the reference of each person with four photos with a face."""
    found = []
    for person in sorted(one for one in folder.iterdir() if one.is_dir()):
        photos = [read_image(path) for path in sorted(person.iterdir())[: ENROLLED_PHOTOS + 1]]
        faces = [face for photo in photos for face in extractor.detect(photo)[:1]]
        if len(faces) > ENROLLED_PHOTOS:
            enrolled = zip(photos[:ENROLLED_PHOTOS], faces, strict=False)
            own = mean_of([embedding(extractor, photo, face) for photo, face in enrolled])
            found.append((photos[ENROLLED_PHOTOS], faces[ENROLLED_PHOTOS], own))
    return found


def embedding(extractor: Extractor, image: RgbImage, face: DetectedFace) -> NDArray[np.float32]:
    """Return the embedding of a face."""
    vector = extractor._embed_face(image, face)  # noqa: SLF001  neither probe nor reference: a figure
    try:
        return vector.array.copy()
    finally:
        vector.wipe()


def placed(photo: RgbImage, face: DetectedFace, eyes_px: int, rng: np.random.Generator) -> tuple[RgbImage, Box]:
    """Return a frame with the photo at a random place, its eyes so far apart, and the box of the face."""
    scale = eyes_px / eye_distance_px(face.landmarks)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    tile = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA)
    pixels = np.full((FRAME[1], FRAME[0], 3), _GREY) + rng.normal(0, _NOISE, (FRAME[1], FRAME[0], 1))
    x, y = (int(rng.integers(0, side - part)) for side, part in zip(FRAME, size, strict=True))
    pixels[y : y + size[1], x : x + size[0]] = tile
    left, top, width, height = (scale * one for one in face.box)
    return RgbImage(np.clip(pixels, 0, 255).astype(np.uint8)), (x + left, y + top, width, height)


def observe(extractor: Extractor, folder: Path) -> dict[tuple[str, int], FrameCounts]:
    """Do steps 1 to 3, and return what was seen by way and eye distance."""
    rng, everyone = np.random.default_rng(_SEED), people(extractor, folder)
    threshold = SFACE.identification(len(everyone))
    seen = {(way, eyes): FrameCounts() for way in WAYS for eyes in EYES_PX}
    for eyes_px in EYES_PX:
        for photo, face, own in everyone:
            frame, box = placed(photo, face, eyes_px, rng)
            for way, search in WAYS.items():
                one = seen[way, eyes_px]
                begun = time.process_time_ns()
                faces = search(extractor, frame)
                one.cpu_ns.append(time.process_time_ns() - begun)
                right = [each for each in faces if overlap(each.box, box) >= _FOUND_OVERLAP]
                one.frames += 1
                one.found += bool(right)
                one.others += len(faces) - len(right)
                one.identified += any(float(embedding(extractor, frame, each) @ own) >= threshold for each in right)
    return seen


def table(seen: dict[tuple[str, int], FrameCounts]) -> str:
    """Return what was measured, as Markdown."""
    lines = [_HEAD, ("---",) * len(_HEAD)]
    for way in WAYS:
        row = [seen[way, eyes] for eyes in EYES_PX]
        cpu_ms = np.median([one for each in row for one in each.cpu_ns]) / 1e6
        cells = [f"{each.found / each.frames:.0%}, {each.identified / each.frames:.0%}" for each in row]
        lines.append((way, f"{cpu_ms:.0f}", *cells))
    frames = seen["640", EYES_PX[0]].frames
    others = sum(one.others for one in seen.values())
    return (
        "\n".join(f"| {' | '.join(line)} |" for line in lines)
        + f"\n\nFaces found, and identified, of {frames} people, one frame of {FRAME[0]}x{FRAME[1]} each. "
        f"{others} other faces were found in {sum(one.frames for one in seen.values()):,} detections."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table or write it into the page."""
    parser = photo_arguments("How far away a door sees a face.")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"got {given.folder}, which is no folder; expected one with a folder of photos for each person")
    cv2.setNumThreads(1)
    found = table(observe(Extractor.load_default(), given.folder))
    if given.page:
        put_in_page(BEGIN, END, found)
    sys.stdout.write(found + "\n")


if __name__ == "__main__":
    main()
