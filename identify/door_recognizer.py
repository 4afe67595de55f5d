"""What a door's stream needs of a recogniser: that of the site (`Recognizer`), or with a lease (`LeasedRecognizer`)."""

from collections.abc import Collection, Sequence
from typing import Protocol

from volens.consent import Badge, PersonSecret, Purpose, ReferenceId, ShownFactor, UnverifiedReceipt, Zone
from volens.face import DetectedFace, Extractor, RgbImage
from volens.index import Decision


class DoorRecognizer(Protocol):
    """Decides about faces at the doors of a zone."""

    @property
    def extractor(self) -> Extractor:
        """The models."""

    def searchable_zone(self, purpose: Purpose, *, with_codes: bool = False) -> Zone:
        """Return a zone in which people are identified; see `Recognizer.searchable_zone`."""

    def threshold_in(self, zone: Zone) -> float:
        """Return the lowest comparison score that identifies a person in a zone."""

    def identify_faces(
        self, zone: Zone, image: RgbImage, faces: Sequence[DetectedFace], factor: ShownFactor | None = None
    ) -> list[Decision]:
        """Look once at some faces of a frame, together; see `Recognizer.identify_faces`."""

    def still_known(self, zone: Zone, reference_ids: Collection[ReferenceId]) -> frozenset[ReferenceId]:
        """Return those of the references that may match now."""

    def record(self, decisions: Sequence[Decision], caller: str | None) -> None:
        """Record the visits of the people who match."""

    def claim_of_badge_number(self, zone: Zone, badge: ShownFactor) -> UnverifiedReceipt | None:
        """Return the receipt that a badge number stands for."""

    def claim_of_code(self, zone: Zone, carried: PersonSecret | Badge) -> UnverifiedReceipt | None:
        """Return the receipt that a secret or a badge stands for."""

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
        """Decide whether a face of a frame is the person of a claim (1:1)."""
