"""The accuracy benchmarks: what is counted as found, missed and accepted, and the ways to spoil a photo."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.accuracy import THRESHOLDS, trade_off
from benchmarks.degradations import GROUPS, SPOILED, Look, Looks, det_plot, far, moved, painted
from volens.face import DetectedFace

EYES_PX = 35


@pytest.fixture
def face() -> DetectedFace:
    eyes = [[28.0, 45.0], [28.0 + EYES_PX, 45.0]]
    below = [[45.0, 65.0], [32.0, 82.0], [59.0, 82.0]]
    return DetectedFace((10.0, 15.0, 70.0, 90.0), np.array(eyes + below, dtype=np.float32), 0.9)


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, size=(112, 92, 3)).astype(np.uint8)


def looks() -> Looks:
    """Four looks: good, taken for another person, below any threshold, and without a face."""
    return Looks(
        (Look(True, 0.9, 0.3, False), Look(True, 0.5, 0.6, False), Look(True, 0.2, 0.1, True), Look(False, 0, 0, True))
    )


def test_a_look_counts_as_missed_without_a_face_and_when_another_person_is_nearer() -> None:
    assert looks().missed(0.45) == 3 / 4
    assert looks().missed(0.1) == 2 / 4
    assert looks().accepted(0.45) == 1 / 4
    assert looks().accepted(0.05) == 3 / 4, "without a face nobody is accepted"
    assert looks().row("such looks", 0.45) == "| such looks | 75% | 25% | 25% | 0.53 | 50% |"


def test_the_plot_has_a_curve_for_each_group_of_looks() -> None:
    assert all(name == "untouched" or any(name.startswith(kinds) for kinds in GROUPS.values()) for name in SPOILED)
    drawn = det_plot(dict.fromkeys(SPOILED, looks()))
    assert all(group in drawn for group in GROUPS)


def test_every_way_to_spoil_a_photo_changes_it_and_keeps_it_a_photo(photo: np.ndarray, face: DetectedFace) -> None:
    for name, spoil in SPOILED.items():
        spoiled = spoil(photo, face)
        assert (spoiled.dtype, spoiled.ndim) == (np.uint8, 3), name
        assert np.array_equal(spoiled, photo) == (name == "untouched"), name


def test_a_distant_face_has_the_eyes_so_far_apart_in_a_frame_of_the_camera(
    photo: np.ndarray, face: DetectedFace
) -> None:
    frame = far(12, 640, 480)(photo, face)
    assert frame.shape == (480, 640, 3)
    changed = np.argwhere((frame != 110).any(axis=2))
    height, width = changed.max(axis=0) - changed.min(axis=0) + 1
    assert width == pytest.approx(92 * 12 / EYES_PX, abs=1)
    assert height == pytest.approx(112 * 12 / EYES_PX, abs=1)


def test_a_movement_blurs_along_its_line_only(face: DetectedFace) -> None:
    stripes = np.zeros((60, 60, 3), dtype=np.uint8)
    stripes[::2] = 255
    assert np.array_equal(moved(7, 1, 0)(stripes, face), stripes)
    assert moved(7, 0, 1)(stripes, face).std() < 30


def test_a_painted_box_outside_the_photo_paints_what_is_inside(photo: np.ndarray, face: DetectedFace) -> None:
    covered = painted((1, 2, 3), -9, -9, 9, -0.5)(photo, face)
    assert (covered[0] == (1, 2, 3)).all()
    assert np.array_equal(covered[60:], photo[60:])


def test_errors_trade_off_along_the_thresholds() -> None:
    rng = np.random.default_rng(3)

    def person() -> list[np.ndarray]:
        face = rng.standard_normal(16)
        photos = [face + rng.standard_normal(16) * 0.7 for _ in range(6)]
        return [(one / np.linalg.norm(one)).astype(np.float32) for one in photos]

    found = trade_off({f"s{number}": person() for number in range(20)}, 10, 3, 5, rng)

    assert all(first >= second for first, second in pairwise(found.fpir))
    assert all(first <= second for first, second in pairwise(found.fnir))
    at = found.missed_at(0.1)
    assert at is not None
    row = int(np.argmin(np.abs(THRESHOLDS - at[0])))
    assert found.fpir[row] <= 0.1 < found.fpir[row - 1]
    assert at[1] == found.fnir[row]
