"""Recognition with a lease: a door decides by itself about the people in the lease it holds, until that ends."""

from collections.abc import Callable, Collection, Sequence
from typing import final

from volens.consent import (
    Badge,
    Custody,
    DataSubjectId,
    PersonSecret,
    Purpose,
    ReceiptId,
    ReferenceId,
    RefusedError,
    SecondFactor,
    ShownFactor,
    UnavailableError,
    UnverifiedReceipt,
    Zone,
    check_kind,
    permit_probe,
)
from volens.consent.zone import LivenessLevel
from volens.face import DetectedFace, Extractor, RgbImage
from volens.face.quality import is_cut_off
from volens.identify.liveness_gate import is_live
from volens.index import Decision, Match
from volens.index.held_lease import HeldLease
from volens.index.match import NotCompared


@final
class LeasedRecognizer:
    """Decides with one lease. A reference is its number in the lease, which has neither receipt nor person."""

    def __init__(self, held: HeldLease, load_extractor: Callable[[], Extractor]) -> None:
        self._held = held
        self._load_extractor = load_extractor

    @property
    def extractor(self) -> Extractor:
        """The models."""
        return self._load_extractor()

    def searchable_zone(self, purpose: Purpose, *, with_codes: bool = False) -> Zone:
        """Return the zone of the lease, as far as the lease says.

        Raises:
            UnavailableError: the lease is over, or asks for a liveness model that this door does not have.
        """
        del with_codes
        claims = self._held.claims
        if not self._held.is_usable or claims.purpose != purpose:
            raise UnavailableError("the lease of this door has ended, and it cannot reach the service")
        if claims.liveness_model:
            liveness = self.extractor.liveness
            if liveness is None or liveness.detector_id != claims.liveness_model:
                raise UnavailableError("the lease of this door is for another liveness model than the door has")
        return Zone(
            *(purpose, Custody.OPERATOR, "", "", 1, claims.issued_at, 0, SecondFactor.NONE),
            trigger=claims.trigger,
            lease_seconds=claims.term_seconds,
            liveness=LivenessLevel.PACK if claims.liveness_model else LivenessLevel.NONE,
        )

    def threshold_in(self, zone: Zone) -> float:
        """Return the threshold that the zone had when the lease was given."""
        del zone
        return self._held.claims.threshold

    def identify_faces(
        self, zone: Zone, image: RgbImage, faces: Sequence[DetectedFace], factor: ShownFactor | None = None
    ) -> list[Decision]:
        """Look once at some faces of a frame. Probes are wiped.

        Raises:
            InputError: a factor was given; a zone with leases requires none.
        """
        check_kind(zone.second_factor, factor)
        return [self._decide(zone, image, face) for face in faces]

    def still_known(self, zone: Zone, reference_ids: Collection[ReferenceId]) -> frozenset[ReferenceId]:
        """Return all of them while the lease is good, and none afterwards."""
        del zone
        return frozenset(reference_ids) if self._held.is_usable else frozenset()

    def record(self, decisions: Sequence[Decision], caller: str | None) -> None:
        """Record nothing: the door delivers its decisions when it is connected again."""

    def claim_of_badge_number(self, zone: Zone, badge: ShownFactor) -> UnverifiedReceipt | None:
        """Refuse a badge: a zone with leases requires none."""
        check_kind(zone.second_factor, badge)
        return None

    def claim_of_code(self, zone: Zone, carried: PersonSecret | Badge) -> UnverifiedReceipt | None:
        """Return nothing: in a zone with leases people carry nothing."""
        del zone, carried
        return None

    def verify_face(
        self,
        receipt: UnverifiedReceipt,
        image: RgbImage,
        face: DetectedFace,
        purpose: Purpose,
        factor: ShownFactor | None,
        *,
        carried: PersonSecret | Badge | None = None,
        caller: str | None = None,
    ) -> Decision:
        """Refuse a claim, which no one can make here.

        Raises:
            RefusedError: always.
        """
        del receipt, image, face, purpose, factor, carried, caller
        raise RefusedError("a door without a connection verifies no claims (1:1)")

    def _decide(self, zone: Zone, image: RgbImage, face: DetectedFace) -> Decision:
        threshold = self._held.claims.threshold
        if is_cut_off(image, face):
            return Decision(None, threshold, 0, not_compared=NotCompared.CUT_OFF)
        if self.extractor.is_turned(image, face):
            return Decision(None, threshold, 0, not_compared=NotCompared.TURNED)
        if not is_live(zone, self.extractor, image, face):
            return Decision(None, threshold, 0, not_compared=NotCompared.NOT_LIVE)
        (probe,) = self.extractor.probes(image, [face], permit_probe(zone))
        try:
            found = self._held.best(probe.vector.array)
        finally:
            probe.vector.wipe()
        if found is None:
            return Decision(None, threshold, 0)
        number, score = found
        # Ids that no site has: the door knows only the number in its lease.
        return Decision(
            Match(ReferenceId(number), ReceiptId(str(number)), DataSubjectId(str(number)), score), threshold, 0
        )
