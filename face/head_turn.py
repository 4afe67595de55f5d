"""The head-turn challenge: liveness by challenge and response, with the landmarks of the detector and no further model.

The person looks ahead, turns the head to one side, looks ahead, turns to the other side, and looks ahead. Which side is
first is random. A turn is seen by the nose, which leaves the middle between the eyes: no flat photo moves it there, and
no bent one that was tried moves it to both sides (docs/adr/0070). Each look is compared with the first one, so that no
other person turns for a photo.

Not checked: a video of the person that is played in the order asked (half of the time it is the right one), photos of
the person in profile shown one after the other, and masks of three dimensions. See LIMITATIONS.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from volens.consent import UnitVector
from volens.consent.zone import LivenessLevel
from volens.face.alignment import nose_offset
from volens.face.liveness import LivenessEvidence, Look, NotLive


class Side(StrEnum):
    """The person's own left or right."""

    LEFT = "left"
    RIGHT = "right"


class Step(StrEnum):
    """What the person is asked to do next."""

    AHEAD = "look_ahead"
    LEFT = "turn_left"
    RIGHT = "turn_right"
    DONE = "done"


@final
@dataclass(frozen=True, slots=True)
class HeadTurnRule:
    """The limits of the challenge.

    Attributes:
        min_turn: nose offset (`volens.face.alignment.nose_offset`) beyond which a head is turned, to either side. Flat
            photos measured at most 0.32. Photos that were bent until a part of the face was out of sight measured up
            to 0.61 to one side (2 of 39), and none beyond this to both. Profiles measured 0.70.
        max_ahead: nose offset up to which a face looks ahead: 95 of 100 people who do measured at most 0.12.
        limit_s: for the whole challenge.
    """

    min_turn: float = 0.35
    max_ahead: float = 0.15
    limit_s: float = 20.0


RULE: Final = HeadTurnRule()
LOOKS: Final = 5
"""Looks that a challenge takes: ahead, one side, ahead, the other side, ahead. The last one is for the comparison."""
_TURN: Final = {Side.LEFT: Step.LEFT, Side.RIGHT: Step.RIGHT}


def random_side(random: Callable[[int], bytes]) -> Side:
    """Return the side that is asked first; `random` returns so many random bytes."""
    return Side.LEFT if random(1)[0] & 1 else Side.RIGHT


@final
class HeadTurn:
    """The state machine of one challenge: looks in, the next step out. It knows no images and no clock.

    `see` guides the person. The challenge is passed only if each look that was taken, except the first, was also
    compared with the first one (`compare`).
    """

    def __init__(
        self, first: Side, began_at_s: float, min_score: float, *, rule: HeadTurnRule = RULE, taken: int = 0
    ) -> None:
        """Begin, or go on after `taken` looks.

        `min_score` is the comparison score from which two looks are of one person: the 1:1 threshold of the model.

        Raises:
            ValueError: there are not so many looks in a challenge.
        """
        if not 0 <= taken <= LOOKS:
            raise ValueError(f"got {taken} looks taken; expected 0 to {LOOKS}")
        second = Side.RIGHT if first is Side.LEFT else Side.LEFT
        self._steps = (Step.AHEAD, _TURN[first], Step.AHEAD, _TURN[second], Step.AHEAD, Step.DONE)
        self._began_at_s, self._min_score, self._rule = began_at_s, min_score, rule
        self._compared = 0
        self._failed: NotLive | None = None
        self.taken = taken

    @property
    def wanted(self) -> Step:
        """What the person is asked to do next."""
        return self._steps[self.taken]

    def see(self, offset: float, at_s: float) -> bool:
        """Return whether a look with this nose offset shows the wanted step, and so is taken. Times do not go back."""
        # A clock that went back, and no number, are out of time as well.
        if not 0 <= at_s - self._began_at_s <= self._rule.limit_s:
            self._failed = self._failed or NotLive.TIME_OVER
        if self._failed or not self._shows(offset):
            return False
        self.taken += 1
        return True

    def compare(self, score: float) -> None:
        """Note the comparison score of the look that was taken last with the first one."""
        self._compared += 1
        if not score >= self._min_score:
            self._failed = self._failed or NotLive.OTHER_PERSON

    def evidence(self) -> LivenessEvidence:
        """Return the result of the looks so far."""
        reason = self._failed
        if reason is None and self.wanted is not Step.DONE:
            reason = NotLive.UNFINISHED
        if reason is None and self._compared < LOOKS - 1:
            reason = NotLive.NOT_COMPARED
        return LivenessEvidence(LivenessLevel.CHALLENGE, reason)

    def _shows(self, offset: float) -> bool:
        match self.wanted:
            case Step.AHEAD:
                return abs(offset) <= self._rule.max_ahead
            case Step.LEFT:
                return offset > self._rule.min_turn
            case Step.RIGHT:
                return offset < -self._rule.min_turn
        return False


@final
class HeadTurnLiveness:
    """The challenge as a `volens.face.liveness.Liveness`: examines the looks of one person who was asked to turn."""

    level = LivenessLevel.CHALLENGE
    detector_id = "head-turn"

    def __init__(
        self,
        first: Side,
        began_at_s: float,
        embed: Callable[[Look], UnitVector],
        min_score: float,
        *,
        rule: HeadTurnRule = RULE,
    ) -> None:
        """Ask for a side first; `embed` computes the embedding of a look, under the permit of its zone."""
        self._first, self._began_at_s, self._rule = first, began_at_s, rule
        self._embed, self._min_score = embed, min_score

    def examine(self, looks: Sequence[Look]) -> LivenessEvidence:
        """Decide whether some looks are those of the challenge.

        Only looks that show the wanted step are embedded, so a photo that does not turn costs one embedding. Each
        vector is wiped as soon as it was compared, the first one at the end.
        """
        turn = HeadTurn(self._first, self._began_at_s, self._min_score, rule=self._rule)
        first: UnitVector | None = None
        try:
            for look in looks:
                if not turn.see(nose_offset(look.face.landmarks), look.at_s):
                    continue
                vector = self._embed(look)
                if first is None:
                    first = vector
                    continue
                try:
                    turn.compare(float(first.array @ vector.array))
                finally:
                    vector.wipe()
        finally:
            if first is not None:
                first.wipe()
        return turn.evidence()
