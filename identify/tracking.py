"""Faces followed from frame to frame by where they are. Nothing of what they look like is kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from volens.face import DetectedFace, eye_distance_px
from volens.index import Decision

Box: TypeAlias = tuple[float, float, float, float]
"""x, y, width, height in pixels of the frame."""

FOLLOWED_S: Final = 0.5
"""A face that was not seen for so long is somebody new."""

_SAME_OVERLAP: Final = 0.3
_MARGIN: Final = 1.0
"""Of a face's size, to each side of it: how far it may go until the next frame."""


@final
@dataclass(slots=True)
class Track:
    """One face over several frames.

    Attributes:
        box: where it was last.
        seen_at: when, in seconds of the caller's clock.
        decision: what the matching core said last; None before it was asked.
        decided_at: when that was.
        eye_distance_px: in the frame that was decided on.
        passes_until: so long somebody who showed a second factor is passing, and is not asked again.
    """

    box: Box
    seen_at: float
    decision: Decision | None = field(default=None, repr=False)
    decided_at: float = 0.0
    eye_distance_px: float = 0.0
    passes_until: float = -math.inf

    def decided(self, decision: Decision | None, face: DetectedFace, at_s: float) -> None:
        """Take down what was decided on a face of this track."""
        self.decision, self.decided_at, self.eye_distance_px = decision, at_s, eye_distance_px(face.landmarks)


@final
class Tracker:
    """Says which face of a frame is which of the frame before, and where to look in the next."""

    def __init__(self) -> None:
        """Follow nobody yet."""
        self.tracks: list[Track] = []

    def follow(self, faces: Sequence[DetectedFace], at_s: float) -> list[Track]:
        """Return the track of each face, a new one where none fits; tracks not seen for `FOLLOWED_S` end.

        A face continues the track whose last box it overlaps most, from a third on; each track goes to one face.
        """
        self.tracks = [track for track in self.tracks if 0 <= at_s - track.seen_at <= FOLLOWED_S]
        pairs = sorted(
            (
                (overlap(face.box, track.box), number, track)
                for number, face in enumerate(faces)
                for track in self.tracks
            ),
            key=lambda pair: -pair[0],
        )
        found: dict[int, Track] = {}
        taken: list[Track] = []
        for share, number, track in pairs:
            if share >= _SAME_OVERLAP and number not in found and not any(one is track for one in taken):
                found[number] = track
                taken.append(track)
        for number, face in enumerate(faces):
            track = found.setdefault(number, Track(face.box, at_s))
            track.box, track.seen_at = face.box, at_s
        fresh = [track for track in found.values() if not any(one is track for one in self.tracks)]
        self.tracks += fresh
        return [found[number] for number in range(len(faces))]

    def region(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Return left, top, right and bottom of where the followed faces will be next; None if there are none."""
        if not self.tracks:
            return None
        sides = [track.box for track in self.tracks]
        left = min(x - _MARGIN * w for x, _, w, _ in sides)
        top = min(y - _MARGIN * h for _, y, _, h in sides)
        right = max(x + (1 + _MARGIN) * w for x, _, w, _ in sides)
        bottom = max(y + (1 + _MARGIN) * h for _, y, _, h in sides)
        return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))

    def smallest_px(self) -> float:
        """Return the shorter side of the smallest followed face."""
        return min((min(track.box[2:]) for track in self.tracks), default=0.0)


def overlap(one: Box, other: Box) -> float:
    """Return the shared area of two boxes over the area of both together, 0 to 1."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    both = one[2] * one[3] + other[2] * other[3] - shared
    return shared / both if both > 0 else 0.0
