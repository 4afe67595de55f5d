"""Guides a person before a camera of this machine through the head-turn challenge."""

from collections.abc import Callable, Iterable
from typing import Final, final

from volens.face import Extractor, RgbImage
from volens.face.alignment import nose_offset
from volens.face.head_turn import RULE, HeadTurn, Side, Step
from volens.identify.liveness_gate import HeadTurnAnswer
from volens.identify.person_in_front import Obstacle, person_in_front

WORDS: Final = {
    Step.AHEAD: "look straight into the camera",
    Step.LEFT: "<--  turn your head to the left",
    Step.RIGHT: "turn your head to the right  -->",
    Step.DONE: "thank you",
    Obstacle.NO_FACE: "no face is seen; look into the camera",
    Obstacle.SEVERAL_PEOPLE: "several people are seen; one person alone, please",
    Obstacle.TOO_FAR: "come closer",
}
"""What the person is told, in the order of a challenge. Left and right are the person's own."""


@final
class HeadTurnGuide:
    """One challenge before one camera. It keeps the five frames that count until they are compared, and no others."""

    def __init__(
        self, extractor: Extractor, first: Side, clock: Callable[[], float], tell: Callable[[str], None]
    ) -> None:
        """Ask for a side first; `clock` is in seconds and does not go back, `tell` gets each new sentence once."""
        self._extractor, self._first, self._clock, self._tell = extractor, first, clock, tell
        self._told = ""

    def run(self, frames: Iterable[RgbImage]) -> tuple[HeadTurnAnswer, RgbImage] | None:
        """Return the answer and the last look, to decide about; None if the time or the frames are over before."""
        began_s = self._clock()
        turn = HeadTurn(self._first, began_s, self._extractor.model.thresholds.claim_value)
        taken: list[RgbImage] = []
        self._say(turn.wanted)
        for image in frames:
            now_s = self._clock()
            if now_s - began_s > RULE.limit_s:
                return None
            found = person_in_front(self._extractor.detect(image), image.width, image.height)
            if isinstance(found, Obstacle):
                # A head that is turned far is seldom found: the person goes on with what was asked.
                self._say(turn.wanted if found is Obstacle.NO_FACE and turn.wanted is not Step.AHEAD else found)
                continue
            if turn.see(nose_offset(found.landmarks), now_s):
                taken.append(image)
            self._say(turn.wanted)
            if turn.wanted is Step.DONE:
                *earlier, last = taken
                return HeadTurnAnswer(self._first, now_s - began_s, earlier), last
        return None

    def _say(self, what: Step | Obstacle) -> None:
        if WORDS[what] != self._told:
            self._told = WORDS[what]
            self._tell(self._told)
