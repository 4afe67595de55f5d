"""The liveness level of a zone, applied before any face is compared with people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from volens.consent import RefusedError, UnitVector, Zone
from volens.consent.gate import permit_probe
from volens.consent.zone import LivenessLevel
from volens.face import DetectedFace, Extractor, ModelMissingError, RgbImage
from volens.face.head_turn import LOOKS, HeadTurnLiveness, Side
from volens.face.image import Photo, decoded
from volens.face.liveness import Liveness, LivenessEvidence, Look, NotLive
from volens.identify.person_in_front import Obstacle, person_in_front

EARLIER: Final = LOOKS - 1
"""Pictures of a challenge before the last one, which is the one that is compared with people."""


@final
@dataclass(frozen=True, slots=True)
class HeadTurnAnswer:
    """What a person did when asked to turn the head; the last picture goes beside it, as the frame.

    Attributes:
        first: the side that was asked first.
        seconds: from the asking to the last picture.
        earlier: the pictures before the last one, in their order.
    """

    first: Side
    seconds: float
    earlier: Sequence[Photo] = field(repr=False)


def check_liveness(zone: Zone, extractor: Callable[[], Extractor], answer: HeadTurnAnswer | None = None) -> None:
    """Refuse a decision that the liveness level of a zone does not allow here.

    Raises:
        RefusedError: the zone asks for the head-turn challenge, and there is no answer to one.
        ModelMissingError: the zone asks for a liveness model, and this process has none.
    """
    if answer is None:
        zone.check_no_challenge()
    if zone.liveness is LivenessLevel.PACK:
        liveness_model(zone, extractor())


def liveness_model(zone: Zone, extractor: Extractor) -> Liveness | None:
    """Return the model with which a zone checks liveness; None in a zone of another level.

    Raises:
        ModelMissingError: the zone asks for a liveness model, and this process has none.
    """
    if zone.liveness is not LivenessLevel.PACK:
        return None
    if extractor.liveness is None:
        raise ModelMissingError(
            f"zone {zone.purpose!r} checks liveness with a model, and none was given; pass --liveness-pack and "
            "--liveness-licence (docs/liveness.md)"
        )
    return extractor.liveness


def check_leasable(zone: Zone, service: Callable[[], Extractor], door: str | None) -> str:
    """Check that a door which decides alone examines faces as the service does; return by which detector, or "".

    Args:
        zone: of the door.
        service: loads the models of the service.
        door: the detector that the door has (`Liveness.detector_id`), or None.

    Raises:
        RefusedError: the zone asks people to turn the head, which a door without a screen cannot; or the door has
            another model than the service, or none.
        ModelMissingError: the zone asks for a liveness model, and the service has none.
    """
    if zone.liveness is LivenessLevel.CHALLENGE:
        raise RefusedError(
            f"zone {zone.purpose!r} asks each person to turn the head, and a door without a screen cannot ask; its "
            "doors get no leases, and its kiosks decide online only"
        )
    if zone.liveness is not LivenessLevel.PACK:
        return ""
    known = liveness_model(zone, service())
    wanted = "" if known is None else known.detector_id
    if door != wanted:
        got = "none" if door is None else "another one, or other settings of it"
        raise RefusedError(
            f"zone {zone.purpose!r} checks liveness with a model, and this door has {got}; give it the --liveness-pack "
            "of the service"
        )
    return wanted


def is_live(zone: Zone, extractor: Extractor, image: RgbImage, face: DetectedFace) -> bool:
    """Return whether the liveness model takes a face for live; True in a zone of another level."""
    if zone.liveness is not LivenessLevel.PACK or extractor.liveness is None:
        return True
    return extractor.liveness.examine([Look(image, face, 0.0)]).passed


def looks_at(extractor: Extractor, pictures: Sequence[Photo]) -> list[Look] | Obstacle:
    """Return one look for each picture, in their order; what is in the way if one of them does not show one person.

    Raises:
        ImageError: a picture cannot be read.
    """
    looks: list[Look] = []
    for picture in pictures:
        image = decoded(picture)
        found = person_in_front(extractor.detect(image), image.width, image.height)
        if isinstance(found, Obstacle):
            return found
        looks.append(Look(image, found, 0.0))
    return looks


def looks_of(extractor: Extractor, answer: HeadTurnAnswer, last: Look) -> list[Look] | Obstacle:
    """Return the looks of an answer, in their order; see `looks_at`."""
    earlier = looks_at(extractor, answer.earlier)
    return earlier if isinstance(earlier, Obstacle) else [*earlier, last]


def examine_looks(zone: Zone, extractor: Extractor, answer: HeadTurnAnswer, looks: Sequence[Look]) -> LivenessEvidence:
    """Examine whether the looks of an answer are a head turn of one person, as it was asked.

    The embeddings are computed under the permit of the zone, and wiped.
    """
    if len(looks) != LOOKS:
        return LivenessEvidence(LivenessLevel.CHALLENGE, NotLive.UNFINISHED)
    permit = permit_probe(zone)

    def embed(look: Look) -> UnitVector:
        (probe,) = extractor.probes(look.image, [look.face], permit)
        return probe.vector

    return HeadTurnLiveness(answer.first, 0.0, embed, extractor.model.thresholds.claim_value).examine(looks)
