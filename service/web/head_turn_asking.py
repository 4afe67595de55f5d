"""The head-turn challenge on a page: it is told what to ask for, frame by frame, and keeps the frames itself.

The site keeps nothing between two frames: which side comes first, when the person was asked and which looks were taken
travel in a sealed text, as a browser's session does. At the end the page sends the frames together, and only then is
anything embedded: at a kiosk for a decision (`volens.identify.HeadTurnAnswer`), on a person's own page for an
enrollment (`volens.service.web.own_head_turn`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Final, Self, final

from pydantic import BaseModel

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
_LIFETIME: Final = timedelta(seconds=RULE.limit_s + 5)
"""With some seconds for the last request, with all frames; the rule itself counts the time."""
_KIND: Final = "head turn"


class HeadTurnPrompt(BaseModel):
    """What to ask the person for next in the head-turn challenge."""

    answer: str
    challenge: str
    taken: bool


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

    def to_body(self) -> HeadTurnPrompt:
        """Return it as the page gets it."""
        return HeadTurnPrompt(answer=self.word, challenge=self.sealed, taken=self.is_taken)


@final
@dataclass(frozen=True, slots=True)
class HeadTurnChallenge:
    """A challenge as it travels: for one zone, and one kiosk or receipt, so that none is moved to another.

    Attributes:
        zone: the zone that asks.
        caller: the kiosk, or the receipt of the person.
        challenge_id: random.
        first: the side that is asked first.
        began_at_s: when the person was asked.
        taken: looks that were taken.
        digest: over the frames that were taken, in their order (`digest_of`).
    """

    zone: str
    caller: str
    challenge_id: str
    first: Side
    began_at_s: float
    taken: int = 0
    digest: str = ""

    @classmethod
    def open(cls, site: Site, zone: Zone, caller: str, sealed: str) -> Self | None:
        """Return the challenge in a sealed text; None if its time is over, or if it is none of this caller."""
        facts = site.programs.sessions.open(_KIND, sealed)
        if facts is None or (facts["zone"], facts["caller"]) != (zone.purpose, caller):
            return None
        return cls(
            zone.purpose,
            caller,
            facts["challenge_id"],
            Side(facts["first"]),
            float(facts["began_at_s"]),
            int(facts["taken"]),
            facts["digest"],
        )

    @property
    def is_finished(self) -> bool:
        """Whether all looks were taken."""
        return self.taken == LOOKS

    def seal(self, site: Site, to_send: timedelta) -> str:
        """Return the sealed text; the page has `to_send` to send the frames of a challenge that is finished."""
        facts = {
            "zone": self.zone,
            "caller": self.caller,
            "challenge_id": self.challenge_id,
            "first": self.first.value,
            "began_at_s": repr(self.began_at_s),
            "taken": str(self.taken),
            "digest": self.digest,
        }
        lifetime = to_send if self.is_finished else _LIFETIME
        return site.programs.sessions.seal(_KIND, facts, lifetime)[0]


def digest_of(frames: Sequence[bytes], before: str = "") -> str:
    """Return a digest over frames in their order, and over those that the digest `before` is of."""
    for frame in frames:
        before = sha256(before.encode("ascii") + sha256(frame).digest()).hexdigest()
    return before


def next_turn(
    site: Site, zone: Zone, frame: EncodedImage, sealed: str | None, *, caller: str, to_send: timedelta = _LIFETIME
) -> Turn:
    """Look at one frame of a challenge, which begins without `sealed`. No embedding is computed.

    The page has `to_send` to send the frames after the last look.

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
        asked = HeadTurnChallenge.open(site, zone, caller, sealed)
    else:
        random = site.installation.store.random
        asked = HeadTurnChallenge(zone.purpose, caller, random(16).hex(), random_side(random), now_s)
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
    if is_taken:
        asked = replace(asked, taken=turn.taken, digest=digest_of([frame.data], asked.digest))
    return Turn(word, asked.seal(site, to_send), is_taken)


def answer_of(
    site: Site, zone: Zone, sealed: str | None, earlier: Sequence[EncodedImage], *, caller: str
) -> HeadTurnAnswer | None:
    """Return the answer that the page sends at the end; None if there is no challenge, or its time is over."""
    asked = HeadTurnChallenge.open(site, zone, caller, sealed) if sealed else None
    if asked is None or not asked.is_finished:
        return None
    return HeadTurnAnswer(asked.first, site.now().timestamp() - asked.began_at_s, earlier)
