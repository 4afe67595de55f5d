"""Tracking: a face continues the track that it overlaps, if the track was seen less than half a second ago."""

import numpy as np
import pytest

from volens.face import DetectedFace
from volens.identify import FOLLOWED_S, Box, FaceTracker, overlap


def face(x: float, y: float, side: float = 100) -> DetectedFace:
    landmarks = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], dtype=np.float32) * side / 100
    return DetectedFace((x, y, side, side), landmarks + np.array([x, y], dtype=np.float32), 0.9)


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3),
        ((0, 0, 10, 10), (10, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (90, 90, 10, 10), 0.0),
        ((0, 0, 20, 20), (5, 5, 10, 10), 0.25),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
    ],
)
def test_overlap_is_intersection_over_union(one: Box, other: Box, share: float) -> None:
    assert overlap(one, other) == overlap(other, one) == pytest.approx(share)


def test_two_moving_faces_are_two_tracks() -> None:
    tracker = FaceTracker()
    (first,) = tracker.follow([face(100, 100)], 0.0)
    for step in range(1, 20):
        mine, other = tracker.follow([face(100 + 20 * step, 100), face(900, 500)], 0.1 * step)
        assert mine is first
        assert other is not first
    assert len(tracker.tracks) == 2


def test_two_faces_never_share_a_track() -> None:
    tracker = FaceTracker()
    (first,) = tracker.follow([face(100, 100)], 0.0)
    near, nearest = tracker.follow([face(120, 100), face(105, 100)], 0.1)
    assert nearest is first
    assert near is not first


@pytest.mark.parametrize(("gap_s", "same"), [(FOLLOWED_S, True), (FOLLOWED_S + 0.01, False), (-0.1, False)])
def test_a_face_that_was_away_too_long_begins_a_new_track(gap_s: float, same: bool) -> None:  # noqa: FBT001
    tracker = FaceTracker()
    (first,) = tracker.follow([face(100, 100)], 10.0)
    (later,) = tracker.follow([face(100, 100)], 10.0 + gap_s)
    assert (later is first) is same


def test_the_region_holds_all_tracked_faces_and_stays_inside_the_frame() -> None:
    tracker = FaceTracker()
    assert tracker.region(1280, 720) is None
    tracker.follow([face(200, 300), face(500, 250, 50)], 0.0)
    assert tracker.region(1280, 720) == (100, 200, 600, 500)
    assert tracker.smallest_px() == 50
    tracker.follow([face(-20, 650), face(1250, 10)], 0.1)
    assert tracker.region(1280, 720) == (0, 0, 1280, 720)
