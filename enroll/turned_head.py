"""The head-turn challenge before an enrollment: one person turned the head, and the photos show that person."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from volens.consent import ConsentGrant, UnitVector
from volens.consent.reason import Reason
from volens.face import DifferentPeopleError, Extractor
from volens.face.face_errors import NotLiveError
from volens.face.head_turn import LOOKS, HeadTurnLiveness, Side
from volens.face.image import Photo
from volens.face.liveness import SENTENCES, Look, NotLive
from volens.identify.liveness_gate import looks_at
from volens.identify.person_in_front import Obstacle


@final
@dataclass(frozen=True, slots=True, eq=False)
class TurnedHead:
    """What a person showed when asked to turn the head, before the photos of their enrollment.

    Attributes:
        first: the side that was asked first.
        frames: those that were taken, in their order. They are not kept.
    """

    first: Side
    frames: Sequence[Photo] = field(repr=False)

    def check(self, extractor: Extractor, grant: ConsentGrant, reference: UnitVector) -> None:
        """Check that the person who is to be enrolled turned the head.

        1. Each frame shows one person in front, and together they are the head turn that was asked. Each look that
           shows its step is embedded under the grant, compared with the first one, and wiped.
        2. The last look agrees with the new reference: its comparison score reaches the model's 1:1 threshold. The look
           is embedded once more, and wiped.

        Raises:
            NotLiveError: 1.
            DifferentPeopleError: 2.
            ImageError: a frame cannot be read.

        Not checked: a video that is played in the order asked, and what else the challenge does not stop
        (`volens.face.head_turn`).
        """
        min_score = extractor.model.thresholds.claim_value

        def embed(look: Look) -> UnitVector:
            crop = extractor.crop(look.image, look.face)
            try:
                return extractor.consented(crop, grant).vector
            finally:
                crop.fill(0)

        # 1.
        found = looks_at(extractor, self.frames)
        if isinstance(found, Obstacle) or len(found) != LOOKS:
            raise _not_turned(NotLive.UNFINISHED)
        evidence = HeadTurnLiveness(self.first, 0.0, embed, min_score).examine(found)
        if evidence.reason is not None:
            raise _not_turned(evidence.reason)
        # 2.
        last = embed(found[-1])
        try:
            score = float(np.dot(last.array, reference.array))
        finally:
            last.wipe()
        if score < min_score:
            raise DifferentPeopleError(
                f"the photos do not seem to show the person who turned the head: comparison score {score:.2f}, "
                f"expected {min_score:.2f} or more; turn the head again, and take the photos of the same person then",
                reason=Reason.HEAD_OF_ANOTHER,
            )


def _not_turned(reason: NotLive) -> NotLiveError:
    return NotLiveError(SENTENCES[reason], reason=Reason.HEAD_NOT_TURNED)
