"""What was decided about one frame: every face in it, and for each whether it is somebody."""

from dataclasses import dataclass
from typing import final

from volens.consent import DataSubjectId, ModelId, Purpose, SecondFactor
from volens.index import Decision, Match


@final
@dataclass(frozen=True, slots=True)
class FaceDecision:
    """One face of a frame and what was decided about it.

    Attributes:
        box: x, y, width, height in pixels of the frame.
        decision: what the matching core said.
    """

    box: tuple[float, float, float, float]
    decision: Decision

    @property
    def match(self) -> Match | None:
        """Whom it is, or None."""
        return self.decision.match

    @property
    def subject_id(self) -> DataSubjectId | None:
        """The data subject identified, or None."""
        return None if self.match is None else self.match.subject_id

    @property
    def comparison_score(self) -> float | None:
        """Cosine similarity with the reference that matched, or None; a stranger's score is nobody's business."""
        return None if self.match is None else self.match.comparison_score

    @property
    def outcome(self) -> str:
        """In a word: ``match``, ``no_match``, or ``factor_required``."""
        return "match" if self.match else "factor_required" if self.factor_required else "no_match"

    @property
    def factor_required(self) -> bool:
        """Whether the face is known, and the person has to show what the zone asks for besides."""
        return self.decision.factor_required


@final
@dataclass(frozen=True, slots=True)
class Identification:
    """The answer to one frame: every face in it, the largest first. No faces is an answer too.

    Attributes:
        second_factor: what the zone asks for besides the face.
    """

    purpose: Purpose
    model_id: ModelId
    threshold: float
    faces: tuple[FaceDecision, ...]
    second_factor: SecondFactor = SecondFactor.NONE
