"""Advice while a person takes their own photos: one reason at a time why a picture is not good yet.

Only detection and quality are computed, no embedding; the enrollment checks every photo again.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from volens.consent import ConsentGrant, UnverifiedReceipt
from volens.consent.reason import Reason
from volens.face import DetectedFace, Extractor, QualityReport, QualityRules, RgbImage
from volens.face.alignment import nose_offset
from volens.face.image import Photo, decoded
from volens.index import Installation
from volens.store.people import admit_receipt

ENROLLMENT_RULES: Final = replace(QualityRules(), min_eye_distance_px=40.0)
"""Stricter than for an enrollment, because a person who holds the phone can simply come closer."""
TURNED: Final = 0.12
"""Nose offset from which a face counts as turned, on purpose small: a slight turn varies the photos enough."""
_LARGEST_SHARE: Final = 0.75


class Pose(StrEnum):
    """How the person looks at the camera; left and right are the person's own."""

    ANY = "any"
    STRAIGHT = "straight"
    LEFT = "left"
    RIGHT = "right"


class Advice(StrEnum):
    """What to do next; `GOOD` is a photo that can be taken."""

    GOOD = "good"
    NO_FACE = "no_face"
    ONE_PERSON = "one_person"
    CLOSER = "closer"
    FARTHER = "farther"
    WHOLE_FACE = "whole_face"
    UNCOVERED = "uncovered"
    MORE_LIGHT = "more_light"
    LESS_LIGHT = "less_light"
    HOLD_STILL = "hold_still"
    UPRIGHT = "upright"
    LOOK_STRAIGHT = "look_straight"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    TURN_BACK = "turn_back"


_ADVICE: Final = {
    Reason.PHOTO_OUTSIDE: Advice.WHOLE_FACE,
    Reason.PHOTO_TURNED: Advice.UPRIGHT,
    Reason.PHOTO_TILTED: Advice.UPRIGHT,
    Reason.PHOTO_PROFILE: Advice.TURN_BACK,
    Reason.PHOTO_FAR: Advice.CLOSER,
    Reason.PHOTO_UNCLEAR: Advice.UNCOVERED,
    Reason.PHOTO_BRIGHT: Advice.LESS_LIGHT,
    Reason.PHOTO_DARK: Advice.MORE_LIGHT,
    Reason.PHOTO_BLURRED: Advice.HOLD_STILL,
    Reason.PHOTO_EYES_COVERED: Advice.UNCOVERED,
    Reason.PHOTO_MOUTH_COVERED: Advice.UNCOVERED,
}
"""What the person can do about each reason for which the enrollment would refuse the photo."""


def advise(
    image: RgbImage,
    grant: ConsentGrant,
    extractor: Extractor,
    pose: Pose = Pose.ANY,
    rules: QualityRules = ENROLLMENT_RULES,
) -> Advice:
    """Return the first thing that keeps a picture from being a good photo of a pose.

    1. Exactly one face, whole, neither too small nor too large.
    2. Nothing for which the enrollment would refuse it: `QualityRules.problems`, in their order.
    3. The pose, by the offset of the nose between the eyes.

    Raises:
        TypeError: `grant` is not a ConsentGrant; nothing was computed.

    Not checked: liveness; with a model the enrollment does. A photo held before the camera, turned about, passes here.
    """
    if not isinstance(grant, ConsentGrant):
        raise TypeError(f"got {type(grant).__name__}; expected a ConsentGrant; get one from volens.consent.gate.admit")
    found = extractor.detect(image)
    # 1.
    if len(found) != 1:
        return Advice.ONE_PERSON if found else Advice.NO_FACE
    face = found[0]
    # 1. and 2.
    problem = _problem(image, face, extractor.assess(image, face), rules)
    return problem or _of_pose(nose_offset(face.landmarks), pose)


def advise_capture(
    installation: Installation,
    load_extractor: Callable[[], Extractor],
    receipt: UnverifiedReceipt,
    picture: Photo,
    pose: Pose = Pose.ANY,
) -> Advice:
    """Admit a receipt, and advise on one picture of its person; the picture is not decoded before.

    Raises:
        RefusedError: no consent is in force.
        ReceiptError, TamperError: the receipt is not the one recorded.
        ImageError: the picture is not readable.
    """
    store = installation.store
    with store.read() as connection:
        grant = admit_receipt(store, connection, receipt)
    return advise(decoded(picture), grant, load_extractor(), pose)


def _problem(image: RgbImage, face: DetectedFace, quality: QualityReport, rules: QualityRules) -> Advice | None:
    problem = next((_ADVICE[one.reason] for one in rules.problems(quality)), None)
    # A face that is turned aside is advised about by its pose.
    if problem in {None, Advice.TURN_BACK} and face.box[3] > _LARGEST_SHARE * image.height:
        return Advice.FARTHER
    return problem


def _of_pose(offset: float, pose: Pose) -> Advice:
    turned_left, turned_right = offset > TURNED, offset < -TURNED
    match pose:
        case Pose.STRAIGHT if turned_left or turned_right:
            return Advice.LOOK_STRAIGHT
        case Pose.LEFT if not turned_left:
            return Advice.TURN_LEFT
        case Pose.RIGHT if not turned_right:
            return Advice.TURN_RIGHT
    return Advice.GOOD
