"""One passage, one decision: who is seen again and again in front of a door is told of once."""

from typing import Final, final

from volens.consent import ReceiptId, ReferenceId
from volens.identify import FaceDecision, Identification

PASSAGE_S: Final = 10.0
"""Who was seen less than so long ago is still passing."""

STRANGER_S: Final = 1.0
"""So long must faces be there that are nobody, before that is a decision: the next frame may be a better one."""

_ALONE_S: Final = 2.0


@final
class Passages:
    """Tells which decisions of a stream of frames are new. For one thread; frames in their order.

    Kept between frames is whose consents were seen, and when; nothing of what anybody looks like.
    """

    def __init__(self) -> None:
        """Nobody has come yet."""
        self._seen: dict[ReceiptId, tuple[float, ReferenceId]] = {}
        self._withheld: dict[ReferenceId, tuple[float, bool]] = {}
        self._strangers_since: float | None = None
        self._strangers_at = 0.0
        self._is_told = False

    def begun(self, found: Identification, at_s: float) -> list[FaceDecision]:
        """Return the faces of people who were not seen for `PASSAGE_S`: their passage begins with this frame.

        Whoever is asked for a second factor again has passed, so that the next one they show is another passage.

        Args:
            found: what was decided about a frame.
            at_s: when the frame was taken, in seconds of any clock that does not go back.
        """
        asked_again = {face.decision.withheld for face in found.faces}
        self._seen = {
            one: (at, reference_id)
            for one, (at, reference_id) in self._seen.items()
            if at_s - at < PASSAGE_S and reference_id not in asked_again
        }
        known = {face.match.receipt_id: (face, face.match) for face in found.faces if face.match is not None}
        new = [face for receipt_id, (face, _match) in known.items() if receipt_id not in self._seen]
        self._seen |= {one: (at_s, match.reference_id) for one, (_face, match) in known.items()}
        return new

    def asked(self, found: Identification, at_s: float) -> list[FaceDecision]:
        """Return the known faces without their second factor that are news: it is required, or what was shown refused.

        It is news again after two seconds without that face, and after `shown`.
        """
        self._withheld = {one: its for one, its in self._withheld.items() if at_s - its[0] < _ALONE_S}
        new = []
        for face in found.faces:
            withheld, refused = face.decision.withheld, face.decision.factor_refused
            if withheld is None:
                continue
            if self._withheld.get(withheld, (0.0, not refused))[1] != refused:
                new.append(face)
            self._withheld[withheld] = at_s, refused
        return new

    def shown(self) -> None:
        """Somebody shows a second factor: whatever comes of it is news."""
        self._withheld = {}

    def stranger(self, found: Identification, at_s: float) -> FaceDecision | None:
        """Return the largest face that is nobody, once faces have been nobody for `STRANGER_S`; then not again.

        Somebody who is known ends it, also one without the second factor; so do two seconds without anybody.
        """
        is_known = any(face.decision.reference_id is not None for face in found.faces)
        if is_known or at_s - self._strangers_at >= _ALONE_S:
            self._strangers_since = None
        if is_known or not found.faces:
            return None
        self._strangers_at = at_s
        if self._strangers_since is None:
            self._strangers_since, self._is_told = at_s, False
        if self._is_told or at_s - self._strangers_since < STRANGER_S:
            return None
        self._is_told = True
        return found.faces[0]
