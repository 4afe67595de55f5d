"""Advice while a person takes their own photos: one reason at a time why a picture is not good yet.

Only detection and quality are computed, no embedding; the enrollment checks every photo again.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from volens.consent import ConsentGrant, UnverifiedReceipt
from volens.face import DetectedFace, Extractor, QualityReport, QualityRules, RgbImage
from volens.face.image import Photo, decoded
from volens.index import Installation
from volens.store.people import admit_receipt

ENROLLMENT_RULES: Final = replace(QualityRules(), min_eye_distance_px=40.0)
"""Stricter than for an enrollment, because a person who holds the phone can simply come closer."""
TURNED: Final = 0.12
"""Nose offset from which a face counts as turned, on purpose small: a slight turn varies the photos enough."""
MAX_TURNED: Final = 0.45
"""Beyond it one half of the face is hidden, and the photo would make the reference worse."""
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


def advise(
    image: RgbImage,
    grant: ConsentGrant,
    extractor: Extractor,
    pose: Pose = Pose.ANY,
    rules: QualityRules = ENROLLMENT_RULES,
) -> Advice:
    """Return the first thing that keeps a picture from being a good photo of a pose.

    1. Exactly one face, whole, neither too small nor too large.
    2. Light, then sharpness, then the tilt of the head: each can be measured only if the ones before hold.
    3. The pose, by the offset of the nose between the eyes.

    Raises:
        TypeError: `grant` is not a ConsentGrant; nothing was computed.

    Not checked: liveness. A photo held before the camera, turned about, passes.
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
    return problem or _of_pose(nose_offset(face), pose)


def nose_offset(face: DetectedFace) -> float:
    """Return how far the nose is from the middle between the eyes, in eye distances, along the line of the eyes.

    0 is a face that looks into the camera. Positive is turned to the person's own left, which is the right side of a
    picture that is not mirrored. Measured on the landmarks of YuNet: right eye, left eye, nose, corners of the mouth.
    """
    right_eye, left_eye, nose = (face.landmarks[row] for row in range(3))
    line = left_eye - right_eye
    length = float(line @ line) ** 0.5 or 1.0
    middle = (left_eye + right_eye) / 2
    return float((nose - middle) @ line) / length**2


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
    checks = (
        (quality.inside_photo < rules.min_inside_photo, Advice.WHOLE_FACE),
        (quality.eye_distance_px < rules.min_eye_distance_px, Advice.CLOSER),
        (face.box[3] > _LARGEST_SHARE * image.height, Advice.FARTHER),
        (quality.detection_score < rules.min_detection_score, Advice.UNCOVERED),
        (
            quality.mean_luma > rules.max_mean_luma or quality.clipped_bright > rules.max_clipped_bright,
            Advice.LESS_LIGHT,
        ),
        (quality.mean_luma < rules.min_mean_luma or quality.clipped_dark > rules.max_clipped_dark, Advice.MORE_LIGHT),
        (quality.sharpness < rules.min_sharpness, Advice.HOLD_STILL),
        (abs(quality.roll_degrees) > rules.max_roll_degrees, Advice.UPRIGHT),
    )
    return next((advice for is_so, advice in checks if is_so), None)


def _of_pose(offset: float, pose: Pose) -> Advice:
    if abs(offset) > MAX_TURNED:
        return Advice.TURN_BACK
    turned_left, turned_right = offset > TURNED, offset < -TURNED
    match pose:
        case Pose.STRAIGHT if turned_left or turned_right:
            return Advice.LOOK_STRAIGHT
        case Pose.LEFT if not turned_left:
            return Advice.TURN_LEFT
        case Pose.RIGHT if not turned_right:
            return Advice.TURN_RIGHT
    return Advice.GOOD
