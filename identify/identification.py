"""The decisions about one frame: every face in it, and for each whether it matches a person with a consent in force."""

from dataclasses import dataclass
from typing import Final, final

from volens.consent import DataSubjectId, ModelId, Purpose, SecondFactor
from volens.index import Decision, Match, NotCompared

REASONS: Final[dict[str, str]] = {
    NotCompared.TURNED: "the face is turned by 90 degrees or more; check how the camera is mounted",
    NotCompared.CUT_OFF: "the face is partly outside the picture; stand in the middle",
    NotCompared.NOT_LIVE: "the check for a live person did not pass; stand alone in good light, and try again",
}
"""Why a face was not compared with anyone (`FaceDecision.reason`), in words for people."""


@final
@dataclass(frozen=True, slots=True)
class FaceDecision:
    """One face of a frame and the decision about it: of one look at a photo, or of a visit in a stream.

    Attributes:
        box: x, y, width, height in pixels of the frame.
        decision: of the matching core.
        looks: how many looks the decision rests on: 1 for a photo (`volens.identify.passage`).
        is_decided: False while a stream is still looking: neither a match nor a refusal.
        is_new: the decision was made with this frame; False where a stream repeats it.
    """

    box: tuple[float, float, float, float]
    decision: Decision
    looks: int = 1
    is_decided: bool = True
    is_new: bool = True

    @property
    def match(self) -> Match | None:
        """The person that the face matches, or None."""
        return self.decision.match

    @property
    def subject_id(self) -> DataSubjectId | None:
        """The data subject identified, or None."""
        return None if self.match is None else self.match.subject_id

    @property
    def comparison_score(self) -> float | None:
        """Cosine similarity with the reference that matched, or None; the score of a non-match is not disclosed."""
        return None if self.match is None else self.match.comparison_score

    @property
    def outcome(self) -> str:
        """The outcome as one word: ``match``, ``no_match``, ``factor_required``, or ``looking``: not decided yet."""
        if not self.is_decided:
            return "looking"
        return "match" if self.match else "factor_required" if self.factor_required else "no_match"

    @property
    def reason(self) -> str | None:
        """Why the face was not compared with anyone, as one word, such as ``turned``; None if it was."""
        return None if self.decision.not_compared is None else self.decision.not_compared.value

    @property
    def factor_required(self) -> bool:
        """Whether the face is known, and the person must also present the second factor of the zone."""
        return self.decision.factor_required


@final
@dataclass(frozen=True, slots=True)
class Identification:
    """The decisions about every face of a frame, the largest face first, and what the zone requires besides a face."""

    purpose: Purpose
    model_id: ModelId
    threshold: float
    faces: tuple[FaceDecision, ...]
    second_factor: SecondFactor = SecondFactor.NONE
