"""Presentation attacks on the head-turn challenge, painted from real faces: prints, screens, bent photos.

Run with ``-s`` to see the table of docs/adr/0070. The AT&T faces are never part of the product; set VOLENS_ATT_FACES to
where they are. Only the detector runs: no photo gets as far as the comparison.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from presentations import ATTACKS, Attack, face_photo, frames_of

from volens.face import YUNET, ModelCache, Pixels, YuNetDetector, read_image
from volens.face.alignment import nose_offset
from volens.face.head_turn import RULE, HeadTurn, Side

ROOT = Path(__file__).parents[2]
FACES = Path(os.environ.get("VOLENS_ATT_FACES", ROOT.parent / "shared" / "data" / "att_faces"))

pytestmark = [
    pytest.mark.att_faces,
    pytest.mark.skipif(not FACES.is_dir(), reason="the AT&T faces are not here; set VOLENS_ATT_FACES to their folder"),
]


@pytest.fixture(scope="module")
def detector() -> YuNetDetector:
    ModelCache.default().pull()
    return YuNetDetector(ModelCache.default().read(YUNET.name))


@pytest.fixture(scope="module")
def photos(detector: YuNetDetector) -> list[Pixels]:
    """The first photo of each person."""
    images = [read_image(path) for path in sorted(FACES.glob("s*/1.*"))]
    return [face_photo(image, detector.detect(image)[0]) for image in images]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_no_photo_of_forty_people_passes_the_challenge(
    detector: YuNetDetector, photos: list[Pixels], attack: Attack
) -> None:
    passed, widest, found, one_sided = 0, [], 0, 0
    for seed, photo in enumerate(photos):
        detected = [detector.detect(frame) for frame in frames_of(attack, photo, seed)]
        offsets = [nose_offset(faces[0].landmarks) for faces in detected if faces]
        widest.append(max(map(abs, offsets)))
        one_sided += widest[-1] > RULE.min_turn
        found += len(offsets)
        for first in Side:
            turn = HeadTurn(first, 0.0, 0.0)
            # The attacker turns the photo again and again, and each comparison is taken for a success.
            for number, offset in enumerate(offsets * 3):
                if turn.see(offset, number / 10) and turn.taken > 1:
                    turn.compare(1.0)
            passed += turn.evidence().passed
    print(
        f"\n{attack.name}: {len(photos)} presentations, {found} faces found, {passed} passed; nose offset at most "
        f"{max(widest):.2f} (median {np.median(widest):.2f}), limit {RULE.min_turn}, beyond it to a side: {one_sided}"
    )
    assert len(photos) >= 39
    assert passed == 0
