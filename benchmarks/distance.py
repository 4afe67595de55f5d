"""How far away a face is found in a full-HD frame, and the cost of it: ``python -m benchmarks.distance FOLDER``.

The folder has one folder of photos for each person, such as the AT&T faces.

1. Each person is enrolled with the mean of the embeddings of their first three photos; their fourth is the probe.
2. The probe is scaled until the eyes are a given distance apart, and put somewhere on a grey wall of 1920x1080 px with
   the noise of a camera. The places are the same in each run.
3. A face counts as *found* if the detector, with the frame at a given longest side, finds it where it is, and as
   *identified* if the embedding of what was found is nearest to its own reference and reaches the threshold for so many
   people.
4. The cost is the processor time of one detection in the whole frame, and its ratio to that at 640 px.

No embedding and no score of a person is written.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import ENROLLED_PHOTOS
from benchmarks.matching.faces import embedded
from volens.consent.zone import FpirTarget
from volens.face import DetectedFace, Extractor, RgbImage, eye_distance_px, read_image
from volens.face.thresholds import SFACE

EYES_PX: Final = (12, 16, 24, 32, 48)
SIDES_PX: Final = (640, 960, 1280, 1920)
_FRAME: Final = (1080, 1920, 3)
_GREY: Final = 110
_NOISE: Final = 4.0
_SEED: Final = 20261130
_HEAD: Final = ("longest side", *(f"eyes {one} px: found, identified" for one in EYES_PX), "processor ms", "of 640")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="How far away a face is found in a full-HD frame.")
    parser.add_argument("folder", type=Path, help="a folder for each person, with photos")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"got {given.folder}, which is no folder; expected one with a folder of photos for each person")
    sys.stdout.write(table(given.folder) + "\n")


def table(folder: Path) -> str:
    """Return what was measured, as Markdown."""
    extractor = Extractor.load_default()
    photos = {one.name: sorted(one.iterdir()) for one in sorted(folder.iterdir()) if one.is_dir()}
    faces = {name: found for name, found in embedded(folder).items() if len(found) > ENROLLED_PHOTOS}
    names = list(faces)
    references = np.stack([np.mean(faces[name][:ENROLLED_PHOTOS], axis=0) for name in names])
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    threshold = SFACE.identification(len(names), FpirTarget.ORDINARY)
    rng = np.random.default_rng(_SEED)
    seen = {(side, eyes): np.zeros(2) for side in SIDES_PX for eyes in EYES_PX}
    spent = dict.fromkeys(SIDES_PX, 0.0)
    probes = 0
    for row, name in enumerate(names):
        probe = read_image(photos[name][ENROLLED_PHOTOS])
        own = extractor.detect(probe)
        if not own:
            continue
        probes += 1
        for eyes in EYES_PX:
            frame, centre = placed(probe, eyes / eye_distance_px(own[0].landmarks), rng)
            for side in SIDES_PX:
                begun = time.process_time()
                found = [one for one in extractor.detect(frame, longest_side=side) if _is_at(one, centre, eyes)]
                spent[side] += time.process_time() - begun
                if found:
                    vector = extractor._embed_face(frame, found[0])  # noqa: SLF001  neither probe nor reference: a figure
                    scores = references @ vector.array
                    vector.wipe()
                    seen[side, eyes] += (1, scores.argmax() == row and scores[row] >= threshold)
    lines = [_HEAD, ("---",) * len(_HEAD)]
    for side in SIDES_PX:
        shares = [f"{seen[side, eyes][0] / probes:.0%}, {seen[side, eyes][1] / probes:.0%}" for eyes in EYES_PX]
        ms = 1e3 * spent[side] / probes / len(EYES_PX)
        lines.append((f"{side}", *shares, f"{ms:.0f}", f"{spent[side] / spent[SIDES_PX[0]]:.1f}"))
    rows = "\n".join(f"| {' | '.join(one)} |" for one in lines)
    return f"{rows}\n\n{probes} people, one probe each, of {len(names)} enrolled; threshold {threshold:.3f}."


def placed(photo: RgbImage, scale: float, rng: np.random.Generator) -> tuple[RgbImage, NDArray[np.float64]]:
    """Return a frame with a photo in it, scaled, and the middle of the photo in the frame's pixels."""
    width, height = (max(1, round(side * scale)) for side in (photo.width, photo.height))
    small = cv2.resize(photo.pixels, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    pixels = np.full(_FRAME, _GREY, dtype=np.float64)
    left, top = (int(rng.integers(0, room + 1)) for room in (_FRAME[1] - width, _FRAME[0] - height))
    pixels[top : top + height, left : left + width] = small
    noisy = pixels + rng.normal(0, _NOISE, _FRAME)
    return RgbImage(np.clip(noisy, 0, 255).astype(np.uint8)), np.array([left + width / 2, top + height / 2])


def _is_at(face: DetectedFace, centre: NDArray[np.float64], eyes_px: float) -> bool:
    x, y, width, height = face.box
    return bool(np.hypot(*(np.array([x + width / 2, y + height / 2]) - centre)) < 2 * eyes_px)


if __name__ == "__main__":
    main()
