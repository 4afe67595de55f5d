"""Passage rule: several looks at one face, one decision for the visit. Pure: the time is an argument.

A look compares one embedding of the face with the gallery, at the threshold for one look. Then:

1. Looks are `LOOK_EVERY_S` apart. Neighbouring frames of a camera are nearly the same picture, so they repeat the error
   of the first one instead of correcting it, and each costs an embedding.
2. The visit is decided as recognised when two of the last three looks agree on the same reference. For a claim (1:1)
   the best look counts: one look that reaches the threshold is enough, because it is compared with one reference only.
3. A visit that is not decided `DECIDE_WITHIN_S` after its first look is decided as not recognised.
4. Then the face is not compared for `PAUSE_S`, so that a stranger who stays is not given chance after chance. The
   pause doubles with each such visit, to `LONGEST_PAUSE_S`. A face that leaves and comes back begins another visit.
5. A person who was recognised is looked at again each `AGAIN_S`: one face may have taken another's place unseen. When
   two of the last three looks do not agree with the decision any more, the visit is over and the next one has begun.
6. A face that cannot be compared (turned, cut off) makes no look; time runs, but it uses no chance and starts no pause.

Between looks only the ids of the references that reached the threshold are kept: no vector, no image, no score.
The error rates of visits are measured in docs/accuracy.md; docs/adr/0068 has the reasons.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from volens.consent import ReferenceId

LOOKS: Final = 3
"""How many of the last looks count."""
AGREEING: Final = 2
"""How many of them must agree on the same reference."""
LOOK_EVERY_S: Final = 0.2
"""Time between two looks. A face that walks at 1 m/s has moved by its own width, and a blink is over."""
AGAIN_S: Final = 1.0
"""Time between two looks at a person who was recognised."""
DECIDE_WITHIN_S: Final = 1.5
"""Time limit of a visit, from its first look: 8 looks, and 3 at a camera with one frame a second."""
PAUSE_S: Final = 3.0
"""Time after which a face that was not recognised gets another visit, the first time."""
LONGEST_PAUSE_S: Final = 60.0

_TOLERANCE_S: Final = 1e-6
"""Times of frames are sums of floating-point numbers."""


class VisitState(StrEnum):
    """What is decided about a visit."""

    LOOKING = "looking"
    RECOGNISED = "recognised"
    NOT_RECOGNISED = "not_recognised"


@final
@dataclass(slots=True)
class FaceVisit:
    """The visits of one face, one after the other: looks in, one decision for each visit out.

    Times are seconds of any clock that does not go back; the caller begins a new one if its clock does.

    Attributes:
        agreeing: how many of the last three looks must agree: `AGREEING`, or 1 for a claim or a single photo.
        within_s: time limit of a visit.
        state: of the present visit.
        reference_id: what it was recognised as.
        looks: how many looks the present visit has had.
        decisions: how many visits were decided.
        recent: what the last looks found; None for a look that found no one.
        began_at: when the present visit began.
        looked_at: when the face was last looked at, or could not be compared.
        decided_at: when the last visit was decided.
        refusals: how many visits in a row were decided as not recognised.
    """

    agreeing: int = AGREEING
    within_s: float = DECIDE_WITHIN_S
    state: VisitState = VisitState.LOOKING
    reference_id: ReferenceId | None = None
    looks: int = 0
    decisions: int = 0
    recent: tuple[ReferenceId | None, ...] = ()
    began_at: float | None = None
    looked_at: float | None = None
    decided_at: float | None = None
    refusals: int = 0

    def is_due(self, at_s: float) -> bool:
        """Return whether the face should be looked at now."""
        if self.looked_at is None:
            return True
        every_s = LOOK_EVERY_S
        if self.state is VisitState.RECOGNISED and self.recent[-1] == self.reference_id:
            # 5.
            every_s = AGAIN_S
        # 1. and 4.
        return at_s - self.looked_at >= every_s - _TOLERANCE_S and at_s >= self._paused_until() - _TOLERANCE_S

    def look(self, found: ReferenceId | None, at_s: float) -> None:
        """Take what one look found: the reference that reached the threshold, or None."""
        if self.state is VisitState.NOT_RECOGNISED:
            self._begin(())
        if self.looks == 0:
            self.began_at = at_s
        self.looks += 1
        self.looked_at = at_s
        self.recent = (*self.recent, found)[-LOOKS:]
        if self.state is VisitState.RECOGNISED:
            # 5.
            if self.recent.count(self.reference_id) >= self.agreeing:
                return
            self._begin(tuple(one for one in self.recent if one != self.reference_id))
            self.began_at = at_s
        # 2.
        if found is not None and self.recent.count(found) >= self.agreeing:
            self.state, self.reference_id, self.refusals = VisitState.RECOGNISED, found, 0
            self.recent = (found,) * self.agreeing
            self._decided(at_s)

    def take(self, found: ReferenceId | None, at_s: float, *, is_compared: bool) -> bool:
        """Take a look, or note that the face could not be compared; return whether it agrees with a recognition."""
        if not is_compared:
            self.could_not_compare(at_s)
            return False
        self.look(found, at_s)
        return self.state is VisitState.RECOGNISED and found == self.reference_id

    def could_not_compare(self, at_s: float) -> None:
        """Note that the face was in view and could not be compared."""
        # 6.
        self.looked_at = at_s
        if self.began_at is None:
            self.began_at = at_s

    def settle(self, at_s: float) -> None:
        """Apply the time limit; call it for each frame, after its look."""
        # 3.
        if self.state is not VisitState.LOOKING or self.began_at is None:
            return
        if at_s - self.began_at >= self.within_s - _TOLERANCE_S:
            self.state = VisitState.NOT_RECOGNISED
            self.refusals += self.looks > 0
            self._decided(at_s)

    def begin(self, agreeing: int = AGREEING) -> None:
        """Begin another visit now, because the face has asked for one; this ends a pause."""
        self.agreeing, self.looked_at = agreeing, None
        self._begin(())

    def end_claim(self) -> None:
        """Count looks as those of a search again. The looks of a claim that is not decided do not count for it."""
        if self.state is VisitState.LOOKING:
            self.begin()
        self.agreeing = AGREEING

    def look_now(self) -> None:
        """Make the next look due at once, because the person has just presented a factor; this ends a pause."""
        if self.state is VisitState.NOT_RECOGNISED:
            self._begin(())
        if self.state is VisitState.RECOGNISED or not self.looks:
            self.looked_at = None

    def _paused_until(self) -> float:
        if self.state is not VisitState.NOT_RECOGNISED or self.decided_at is None or not self.looks:
            return 0.0
        doublings = min(self.refusals - 1, 16)
        return self.decided_at + min(PAUSE_S * 2.0**doublings, LONGEST_PAUSE_S)

    def _begin(self, recent: tuple[ReferenceId | None, ...]) -> None:
        self.state, self.reference_id = VisitState.LOOKING, None
        self.recent, self.looks, self.began_at = recent, len(recent), None

    def _decided(self, at_s: float) -> None:
        self.decisions += 1
        self.decided_at = at_s
