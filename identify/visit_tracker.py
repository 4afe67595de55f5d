"""Visits in a stream of frames: which faces begin one, so that a person who stays in view is reported once."""

from typing import Final, final

from volens.consent import ReceiptId, ReferenceId
from volens.identify.identification import FaceDecision, Identification
from volens.store.people.visits import VISIT

_GONE_S: Final = 2.0
_VISIT_S: Final = VISIT.total_seconds()


@final
class VisitTracker:
    """Selects the decisions of a stream that are new. In memory only; for one thread; frames in their order.

    Kept between frames: which consents matched, and when. Nothing that was computed from a face.
    """

    def __init__(self) -> None:
        self._visiting: dict[ReceiptId, tuple[float, ReferenceId]] = {}
        self._without_factor: dict[ReferenceId, tuple[float, bool]] = {}

    def new_visits(self, found: Identification, at_s: float) -> list[FaceDecision]:
        """Return the faces of people who did not match for 10 s: their visit begins with this frame.

        If a known face needs its second factor again, its visit is over: with the next factor another visit begins.
        `at_s` is when the frame was taken, in seconds of any monotonic clock.
        """
        waiting = {face.decision.undisclosed_reference_id for face in found.faces}
        self._visiting = {
            receipt_id: (matched_at_s, reference_id)
            for receipt_id, (matched_at_s, reference_id) in self._visiting.items()
            if at_s - matched_at_s < _VISIT_S and reference_id not in waiting
        }
        matched = {face.match.receipt_id: (face, face.match) for face in found.faces if face.match is not None}
        new = [face for receipt_id, (face, _match) in matched.items() if receipt_id not in self._visiting]
        self._visiting |= {one: (at_s, match.reference_id) for one, (_face, match) in matched.items()}
        return new

    def new_factor_requests(self, found: Identification, at_s: float) -> list[FaceDecision]:
        """Return the known faces for which a second factor becomes required, or for which one was just refused.

        Each is returned again after two seconds without that face, and after `factor_presented`.
        """
        self._without_factor = {one: its for one, its in self._without_factor.items() if at_s - its[0] < _GONE_S}
        new = []
        for face in found.faces:
            reference_id, refused = face.decision.undisclosed_reference_id, face.decision.factor_refused
            if reference_id is None:
                continue
            if self._without_factor.get(reference_id, (0.0, not refused))[1] != refused:
                new.append(face)
            self._without_factor[reference_id] = at_s, refused
        return new

    def factor_presented(self) -> None:
        """Report the next decision about a known face without its factor: a second factor was just presented."""
        self._without_factor = {}

    def new_refusals(self, found: Identification) -> list[FaceDecision]:
        """Return the faces whose visit was decided as not recognised with this frame."""
        return [face for face in found.faces if face.is_decided and face.is_new and face.decision.reference_id is None]
