"""The matching core's decision about one face."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from volens.consent import DataSubjectId, ReceiptId, ReferenceId


@final
@dataclass(frozen=True, slots=True)
class Match:
    """The person that a probe was identified as, or confirmed to be."""

    reference_id: ReferenceId
    receipt_id: ReceiptId
    subject_id: DataSubjectId
    comparison_score: float


class NotCompared(StrEnum):
    """Why a face was not compared: in that state it resembles other faces, or it may be a photo."""

    TURNED = "turned"
    CUT_OFF = "cut_off"
    NOT_LIVE = "not_live"


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one probe.

    Attributes:
        match: None means that no person matches; it is not a failure.
        threshold: the lowest comparison score (cosine similarity, -1 to 1) that would have matched.
        sealed_opened: how many sealed embeddings were opened to decide.
        factor_required: the face is known, and no second factor was presented. The decision does not disclose whose
            face it is.
        factor_refused: the face is known, and the factor that was presented is not that person's, or is locked. Outside
            of this process it is a non-match like any other.
        not_compared: why nothing was compared; None if it was.
        undisclosed_reference_id: of a known face without its second factor: for a stream that tracks the face, to check
            whether the consent has ended.
    """

    match: Match | None
    threshold: float
    sealed_opened: int
    factor_required: bool = False
    factor_refused: bool = False
    not_compared: NotCompared | None = None
    undisclosed_reference_id: ReferenceId | None = field(default=None, repr=False)

    @property
    def reference_id(self) -> ReferenceId | None:
        """The reference that the face matches, whether the person may pass or not."""
        return self.undisclosed_reference_id if self.match is None else self.match.reference_id
