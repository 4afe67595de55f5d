"""Tracks faces from frame to frame by their boxes. Nothing of what they look like is kept."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from volens.face import DetectedFace
from volens.identify.passage import AGREEING, FaceVisit
from volens.index import Decision, NotCompared

Box: TypeAlias = tuple[float, float, float, float]
"""x, y, width, height in pixels of the frame."""

FOLLOWED_S: Final = 1.0
"""A track ends when its face was not detected for this long; a face that appears later begins a new one.

A visit needs two looks, so this is also the longest time between two frames of a camera that opens a door."""

_SAME_OVERLAP: Final = 0.3
_MARGIN: Final = 1.0
"""How far a face may move until the next frame, to each side, in sizes of the face."""


@final
@dataclass(slots=True, eq=False)
class Track:
    """One face over several frames.

    Attributes:
        seen_at: when it was last detected, in seconds of the caller's clock.
        visit: its looks, and what was decided of them.
        decision: of the look that decided the visit as recognised, or of a later one that agrees with it.
        not_compared: why the last look compared nothing; None if it did.
        passes_until: until then a person who presented a second factor need not present it again.
    """

    box: Box
    seen_at: float
    visit: FaceVisit = field(repr=False)
    decision: Decision | None = field(default=None, repr=False)
    not_compared: NotCompared | None = None
    passes_until: float = -math.inf

    def begin_visit(self, agreeing: int = AGREEING) -> None:
        """Begin another visit of this face now, because it has asked for one; see `FaceVisit.begin`."""
        self.visit.begin(agreeing)
        self.decision = self.not_compared = None


@final
class FaceTracker:
    """Assigns the faces of a frame to the tracks of the frame before, and says where to detect in the next frame."""

    def __init__(self, new_visit: Callable[[], FaceVisit] = FaceVisit) -> None:
        """Track no face yet; `new_visit` returns the visit of a face that appears."""
        self.tracks: list[Track] = []
        self._new_visit = new_visit

    def follow(self, faces: Sequence[DetectedFace], at_s: float) -> list[Track]:
        """Return the track of each face, a new one where none fits; tracks not seen for `FOLLOWED_S` end.

        A face continues the track whose last box it overlaps most, if the overlap is 0.3 or more; each track continues
        with one face.
        """
        self.tracks = [track for track in self.tracks if 0 <= at_s - track.seen_at <= FOLLOWED_S]
        pairs = [
            (overlap(face.box, track.box), number, track) for number, face in enumerate(faces) for track in self.tracks
        ]
        found: dict[int, Track] = {}
        for share, number, track in sorted(pairs, key=lambda pair: -pair[0]):
            if share >= _SAME_OVERLAP and number not in found and track not in found.values():
                found[number] = track
        for number, face in enumerate(faces):
            if number not in found:
                found[number] = Track(face.box, at_s, self._new_visit())
                self.tracks.append(found[number])
            found[number].box, found[number].seen_at = face.box, at_s
        return [found[number] for number in range(len(faces))]

    def region(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Return left, top, right and bottom of the region of the next frame with all tracked faces; None if none."""
        if not self.tracks:
            return None
        sides = [track.box for track in self.tracks]
        left = min(x - _MARGIN * w for x, _, w, _ in sides)
        top = min(y - _MARGIN * h for _, y, _, h in sides)
        right = max(x + (1 + _MARGIN) * w for x, _, w, _ in sides)
        bottom = max(y + (1 + _MARGIN) * h for _, y, _, h in sides)
        return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))

    def smallest_px(self) -> float:
        """Return the shorter side of the smallest tracked face."""
        return min((min(track.box[2:]) for track in self.tracks), default=0.0)


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    both = one[2] * one[3] + other[2] * other[3] - shared
    return shared / both if both > 0 else 0.0
