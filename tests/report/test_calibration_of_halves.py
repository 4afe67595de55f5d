"""Calibration on real faces: what half of the people say of the strangers of the other half, in many random halves.

Run with ``-s`` to see the table of docs/adr/0071. The AT&T faces are never part of the product; set VOLENS_ATT_FACES to
where they are.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.matching.faces import embedded
from volens.enroll.score_counting import own_scores
from volens.face.thresholds import SFACE
from volens.identify.error_rates import ErrorRates
from volens.store.people.score_counts import ScoreCounts

ROOT = Path(__file__).parents[2]
FACES = Path(os.environ.get("VOLENS_ATT_FACES", ROOT.parent / "shared" / "data" / "att_faces"))
HALF = 20
HALVES = 100
ENROLLED = 3
THRESHOLDS = (0.35, 0.40, 0.43, 0.45)

pytestmark = [
    pytest.mark.att_faces,
    pytest.mark.skipif(not FACES.is_dir(), reason="the AT&T faces are not here; set VOLENS_ATT_FACES to their folder"),
]


def enrolled(photos: list[NDArray[np.float32]]) -> tuple[ErrorRates, NDArray[np.float32]]:
    """Return the rates of people enrolled one after the other, as an enrollment counts, and their references."""
    references: list[NDArray[np.float32]] = []
    counted: list[ScoreCounts] = []
    for its in photos:
        counts = ScoreCounts.none()
        for other in references:
            counts.add(counts.others, its @ other)
        counts.add(counts.own, own_scores(its))
        mean = its.mean(axis=0)
        references.append(mean / np.linalg.norm(mean))
        counted.append(counts)
    rates = ErrorRates(np.array([one.own for one in counted]), np.array([one.others for one in counted]))
    return rates, np.array(references)


def test_half_of_the_people_predict_the_errors_with_strangers_of_the_other_half() -> None:
    faces = [np.stack(photos) for _, photos in sorted(embedded(FACES).items())]
    rng = np.random.default_rng(20261130)
    found: dict[float, list[tuple[float, float, float, float]]] = {one: [] for one in THRESHOLDS}
    at_target: list[tuple[float, float]] = []
    for _ in range(HALVES):
        order = rng.permutation(len(faces)).tolist()
        staff, strangers = order[:HALF], order[HALF:]
        rates, references = enrolled([faces[one][:ENROLLED] for one in staff])
        best = (np.concatenate([faces[one] for one in strangers]) @ references.T).max(axis=1)
        for threshold, its in found.items():
            said = rates.fpir(threshold, HALF)
            its.append((float((best >= threshold).mean()), said.value, said.low, said.high))
        threshold = rates.threshold(0.001, HALF) or 1.0
        at_target.append((threshold, float((best >= threshold).mean())))

    print(f"\n{HALVES} random halves, {HALF} people enrolled with {ENROLLED} photos, {len(faces) - HALF} strangers")
    for threshold, its in found.items():
        true, value, low, high = np.mean(its, axis=0)
        held = sum(one[2] <= one[0] <= one[3] for one in its)
        print(
            f"threshold {threshold:.2f}: strangers accepted {true:.2%}, predicted {value:.2%} "
            f"({low:.2%} to {high:.2%}); {held} of {HALVES} intervals hold the share"
        )
        assert true < 3 * value, "the prediction errs to the safe side"
        assert value < 3 * true
        assert held >= 0.75 * HALVES
    thresholds, accepted = np.mean(at_target, axis=0)
    print(f"threshold measured for 0.1 %: {thresholds:.3f}, there {accepted:.2%} of strangers are accepted")
    stated = SFACE.identification(HALF)
    print(f"threshold of the model: {stated:.3f}, there {np.mean([one[0] for one in found[0.45]]):.2%}")
    assert thresholds > stated, "these faces are more alike than those that the model was measured with"
