"""What the matching core says about one face."""

from dataclasses import dataclass, field
from typing import final

from volens.consent import DataSubjectId, ReceiptId, ReferenceId


@final
@dataclass(frozen=True, slots=True)
class Match:
    """Whom a probe was identified as, or confirmed to be."""

    reference_id: ReferenceId
    receipt_id: ReceiptId
    subject_id: DataSubjectId
    comparison_score: float


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one probe.

    Attributes:
        match: None means "no one here", not failure.
        threshold: the lowest comparison score (cosine similarity, -1 to 1) that would have matched.
        sealed_opened: how many sealed embeddings were opened to decide.
        factor_required: the face is known, and nothing was shown besides. Whose it is is not said.
        factor_refused: the face is known, and what was shown is not that person's, or is not looked at now. Outside of
            this process that is no match like any other.
        withheld: of a known face without its second factor: for whoever follows it, to ask whether consent ended.
    """

    match: Match | None
    threshold: float
    sealed_opened: int
    factor_required: bool = False
    factor_refused: bool = False
    withheld: ReferenceId | None = field(default=None, repr=False)

    @property
    def reference_id(self) -> ReferenceId | None:
        """The reference that the face is like, whether the person may pass or not."""
        return self.withheld if self.match is None else self.match.reference_id
