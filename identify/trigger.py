"""Trigger of a door: which faces of its camera may be embedded, decided before any of them is. Pure.

1. A face is near if the distance between its eyes is at least `AskRules.near` of the frame's height, and its middle is
   in `AskRules.region`. A face that is not near is never embedded, except in a zone with the trigger ``passing``.
2. In a zone with the trigger ``near``, a face asks for itself once it was near for `AskRules.dwell_s`.
3. A request (button, badge, PIN or QR) asks at once, in every zone, for the largest face that is near; while that face
   stays near and in the picture, for it alone.
4. What was asked ends when the visit of the face is decided (`volens.identify.passage`), or after `AskRules.timeout_s`.
   A face asks by itself again only after it was not near.
5. A face that a frame does not show, by a missed detection, keeps its state for `UNSEEN_S`.
6. If the clock goes back, the last time is used.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from volens.consent import InputError
from volens.consent.zone import Trigger

UNSEEN_S: Final = 1.0
"""For how long a face may stay undetected and still counts as the one before, if the tracker says so."""

LEAST_NEAR: Final = 0.02
LEAST_DWELL_S: Final = 0.3
"""With less, a door would look at everyone who passes, and the zone must say that: trigger ``passing``."""

_MOST_NEAR: Final = 0.5
_MOST_DWELL_S: Final = 10.0
_MOST_TIMEOUT_S: Final = 60.0
_SIDES: Final = 4

Region: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the width and the height of a frame."""


@final
@dataclass(frozen=True, slots=True)
class AskRules:
    """What counts as asking at one door. Shares of the frame, so that they hold for every resolution of the camera.

    Attributes:
        near: least distance between the eyes, as a share of the frame's height. The default is reached 1.3 m before a
            camera whose picture is 45 degrees high (63 mm between the eyes).
        region: where the middle of the face must be.
        dwell_s: how long without a break. By default, a person who crosses the region in front of such a camera at
            walking speed (1.4 m/s) has left it before.
        timeout_s: how long a door looks for a decision after it was asked.
    """

    near: float = 0.06
    region: Region = (0.2, 0.0, 0.8, 1.0)
    dwell_s: float = 1.0
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            InputError: the first of them, and what is allowed.
        """
        if not LEAST_NEAR <= self.near <= _MOST_NEAR:
            raise InputError(
                f"got a least eye distance of {self.near:g} of the frame's height; expected {LEAST_NEAR:g} to "
                f"{_MOST_NEAR:g}; change --near, or state that the zone identifies everyone who passes (--trigger "
                "passing)"
            )
        left, top, right, bottom = self.region
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            got = ",".join(f"{side:g}" for side in self.region)
            raise InputError(
                f"got region {got}; expected left,top,right,bottom as shares of the frame, each from 0 to 1, left less "
                "than right and top less than bottom, such as 0.2,0,0.8,1; change --region"
            )
        if not LEAST_DWELL_S <= self.dwell_s <= _MOST_DWELL_S:
            raise InputError(
                f"got a dwell of {self.dwell_s:g} s; expected {LEAST_DWELL_S:g} to {_MOST_DWELL_S:g}; change --dwell"
            )
        if not 1 <= self.timeout_s <= _MOST_TIMEOUT_S:
            raise InputError(
                f"got {self.timeout_s:g} s until a request ends; expected 1 to {_MOST_TIMEOUT_S:g}; change "
                "--ask-timeout"
            )


USUAL_RULES: Final = AskRules()


def parse_region(text: str) -> Region:
    """Return a region written as ``left,top,right,bottom``; `AskRules` checks its values.

    Raises:
        InputError: these are not four numbers.
    """
    parts = text.split(",")
    try:
        sides = [float(part) for part in parts if len(part) <= 40]  # noqa: PLR2004  a number of any reasonable length
    except ValueError:
        sides = []
    if len(parts) != _SIDES or len(sides) != _SIDES:
        raise InputError(
            f"got region {text[:60]!r}; expected four numbers, left,top,right,bottom as shares of the frame, such as "
            "0.2,0,0.8,1; change --region"
        )
    return sides[0], sides[1], sides[2], sides[3]


@final
@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face in one frame, as the trigger sees it.

    Attributes:
        track: the same for the same face in the next frame.
        eye_distance: as a share of the frame's height.
        x: middle of the face, as a share of the frame's width.
        y: the same of its height.
    """

    track: Hashable
    eye_distance: float
    x: float
    y: float


@final
@dataclass(slots=True)
class _NearFace:
    since_s: float
    seen_s: float
    asked_s: float | None = None
    is_done: bool = False


@final
class DoorTrigger:
    """Says which faces may be embedded. Times are seconds of one clock; frames come in their order."""

    def __init__(self, rules: AskRules) -> None:
        """Start without a request."""
        self.rules = rules
        self._now_s = -math.inf
        self._requested_until_s = -math.inf
        self._requested_for: Hashable | None = None
        self._near: dict[Hashable, _NearFace] = {}

    def request(self, now_s: float) -> None:
        """Take a request: a button was pressed, or a badge, a PIN or a QR code was shown."""
        # 3.
        self._requested_until_s, self._requested_for = self._at(now_s) + self.rules.timeout_s, None

    def is_requested(self, now_s: float) -> bool:
        """Return whether a request waits for a decision."""
        return self._at(now_s) < self._requested_until_s

    def cancel(self) -> None:
        """End a request without a decision."""
        self._requested_until_s, self._requested_for = -math.inf, None

    def forget_faces(self) -> None:
        """Forget the faces of earlier frames, because the next one does not follow them; a request stays."""
        self._near, self._requested_for = {}, None

    def askers(
        self, trigger: Trigger, faces: Sequence[SeenFace], now_s: float, *, photo: bool = False
    ) -> set[Hashable]:
        """Return the tracks of the faces of a frame that may be embedded now.

        A `photo` stands alone: no dwell can be measured, and a face that is near asks at once.
        """
        now_s = self._at(now_s)
        if trigger is Trigger.PASSING:
            self._requested_for = None
            return {face.track for face in faces}
        # 1.
        near = [face for face in faces if self._is_near(face)]
        self._follow(faces, near, now_s)
        found: set[Hashable] = set()
        # 2.
        if trigger is Trigger.NEAR:
            found = {face.track for face in near if self._asks(self._near[face.track], now_s, at_once=photo)}
        # 3.
        if not self.is_requested(now_s) or self._requested_for not in self._near:
            self._requested_for = None
        if self.is_requested(now_s) and near:
            if self._requested_for not in {face.track for face in near}:
                self._requested_for = max(near, key=lambda face: face.eye_distance).track
            found.add(self._requested_for)
        return found

    @property
    def requested_for(self) -> Hashable | None:
        """The track that the request is for, as of the last `askers`; None without a request or a near face."""
        return self._requested_for

    def decided(self, track: Hashable) -> None:
        """End what a face has asked, because its visit is decided."""
        # 4.
        if track in self._near:
            self._near[track].is_done = True
        if track == self._requested_for:
            self.cancel()

    def _is_near(self, face: SeenFace) -> bool:
        left, top, right, bottom = self.rules.region
        return face.eye_distance >= self.rules.near and left <= face.x <= right and top <= face.y <= bottom

    def _follow(self, faces: Sequence[SeenFace], near: Sequence[SeenFace], now_s: float) -> None:
        away = {face.track for face in faces} - {face.track for face in near}
        # 5.
        self._near = {
            track: face for track, face in self._near.items() if track not in away and now_s - face.seen_s <= UNSEEN_S
        }
        for one in near:
            self._near.setdefault(one.track, _NearFace(now_s, now_s)).seen_s = now_s

    def _asks(self, face: _NearFace, now_s: float, *, at_once: bool) -> bool:
        if face.asked_s is None and (at_once or now_s - face.since_s >= self.rules.dwell_s):
            face.asked_s = now_s
        # 4.
        if face.asked_s is not None and now_s - face.asked_s >= self.rules.timeout_s:
            face.is_done = True
        return face.asked_s is not None and not face.is_done

    def _at(self, now_s: float) -> float:
        # 6.
        self._now_s = max(self._now_s, now_s)
        return self._now_s
