"""The head-turn challenge at a kiosk: the page is told what to ask for, frame by frame, and keeps the frames itself.

The site keeps nothing between two frames: which side comes first, when the person was asked and how many looks were
taken travel in a sealed text, as a browser's session does. At the end the page sends the frames together, and only then
is anything embedded (`volens.identify.HeadTurnAnswer`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self, final

from volens import Site
from volens.consent import RefusedError, Zone
from volens.consent.zone import LivenessLevel
from volens.face import EncodedImage
from volens.face.alignment import nose_offset
from volens.face.head_turn import LOOKS, RULE, HeadTurn, Side, Step, random_side
from volens.face.pixel_budget import PixelBudget
from volens.identify import HeadTurnAnswer, Obstacle
from volens.identify.person_in_front import person_in_front

TIME_OVER: Final = "time_over"
MAX_CHALLENGE: Final = 1000
EARLIER_FRAME: Final = PixelBudget("an earlier frame of the head turn", 2_000_000)
_KIND: Final = "head turn"
_GRACE: Final = timedelta(seconds=5)
"""For the last request, with all frames; the rule itself counts the time."""


@final
@dataclass(frozen=True, slots=True)
class Turn:
    """What the page asks for next.

    Attributes:
        word: a `Step`, an `Obstacle`, or `TIME_OVER`.
        sealed: to send with the next frame.
        is_taken: whether the page keeps this frame for the end.
    """

    word: str
    sealed: str = field(repr=False)
    is_taken: bool


@final
@dataclass(frozen=True, slots=True)
class _Asked:
    """A challenge as it travels: for one zone and one kiosk, so that none is moved to another door."""

    zone: str
    caller: str
    first: Side
    began_at_s: float
    taken: int

    @classmethod
    def open(cls, site: Site, zone: Zone, caller: str, sealed: str) -> Self | None:
        """Return the challenge in a sealed text; None if its time is over, or if it is none of this kiosk."""
        facts = site.programs.sessions.open(_KIND, sealed)
        if facts is None or (facts["zone"], facts["caller"]) != (zone.purpose, caller):
            return None
        return cls(zone.purpose, caller, Side(facts["first"]), float(facts["began_at_s"]), int(facts["taken"]))

    def seal(self, site: Site, taken: int) -> str:
        facts = {
            "zone": self.zone,
            "caller": self.caller,
            "first": self.first.value,
            "began_at_s": repr(self.began_at_s),
            "taken": str(taken),
        }
        return site.programs.sessions.seal(_KIND, facts, timedelta(seconds=RULE.limit_s) + _GRACE)[0]


def next_turn(site: Site, zone: Zone, frame: EncodedImage, sealed: str | None, *, caller: str) -> Turn:
    """Look at one frame of a challenge, which begins without `sealed`. No embedding is computed.

    Raises:
        RefusedError: the zone does not ask to turn the head.
        ImageError: the frame is not a readable image.
        UnavailableError: the zone is paused.
    """
    zone.check_in_use()
    if zone.liveness is not LivenessLevel.CHALLENGE:
        raise RefusedError(f"zone {zone.purpose!r} does not ask to turn the head; ask for a decision")
    now_s = site.now().timestamp()
    if sealed:
        asked = _Asked.open(site, zone, caller, sealed)
    else:
        asked = _Asked(zone.purpose, caller, random_side(site.installation.store.random), now_s, 0)
    if asked is None or now_s - asked.began_at_s > RULE.limit_s:
        return Turn(TIME_OVER, "", is_taken=False)
    image = frame.decode()
    found = person_in_front(site.extractor.detect(image), image.width, image.height)
    turn = HeadTurn(asked.first, asked.began_at_s, site.extractor.model.thresholds.claim_value, taken=asked.taken)
    is_taken = not isinstance(found, Obstacle) and turn.see(nose_offset(found.landmarks), now_s)
    word: str = turn.wanted.value
    # A head that is turned far is seldom found: the person goes on with what was asked.
    is_turning = found is Obstacle.NO_FACE and turn.wanted is not Step.AHEAD
    if isinstance(found, Obstacle) and not is_turning:
        word = found.value
    return Turn(word, asked.seal(site, turn.taken), is_taken)


def answer_of(
    site: Site, zone: Zone, sealed: str | None, earlier: Sequence[EncodedImage], *, caller: str
) -> HeadTurnAnswer | None:
    """Return the answer that the page sends at the end; None if there is no challenge, or its time is over."""
    asked = _Asked.open(site, zone, caller, sealed) if sealed else None
    if asked is None or asked.taken != LOOKS:
        return None
    return HeadTurnAnswer(asked.first, site.now().timestamp() - asked.began_at_s, earlier)
