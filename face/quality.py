"""Face image quality: whether a face in a photo is good enough to become part of a reference.

Sharpness and exposure are measured on the aligned crop, between brows and chin, so that they do not depend on the size
of the photo. The limits were set so that unchanged photos pass with a margin (AT&T faces of 92x112 px, grey; two colour
photos), and photos degraded until SFace scores them below about 0.8 against the unchanged one do not.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from volens.consent.reason import Reason
from volens.face.alignment import align, eye_distance_px, share_inside
from volens.face.detector import DetectedFace
from volens.face.face_errors import PoorQualityError
from volens.face.image import RgbImage

# Rows and columns of the crop: brows to chin, without hair, background or area outside the photo.
_INNER: Final = (slice(40, 96), slice(28, 84))
_SMOOTHING_PX: Final = 1.0
_DARK: Final = 5
_BRIGHT: Final = 250
_UPSIDE_DOWN_DEGREES: Final = 90


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Measurements of one face; no limits applied.

    Attributes:
        eye_distance_px: between the eye landmarks, in pixels of the photo.
        roll_degrees: in-plane rotation of the face, -180 to 180, positive is clockwise on screen; standard deviation 8
            degrees.
        sharpness: variance of the Laplacian of the slightly smoothed luma, over the variance of luma, on the aligned
            crop; no unit, higher is sharper, independent of brightness and contrast.
        mean_luma: 0..255, of the aligned crop.
        clipped_dark: share of the aligned crop's pixels with luma 5 or less, 0..1.
        clipped_bright: share with luma 250 or more, 0..1.
        inside_photo: share of the aligned crop, between brows and chin, that lies inside the photo, 0..1.
    """

    detection_score: float
    eye_distance_px: float
    roll_degrees: float
    sharpness: float
    mean_luma: float
    clipped_dark: float
    clipped_bright: float
    inside_photo: float


@dataclass(frozen=True, slots=True)
class QualityRules:
    """Quality limits; a face must meet all of them.

    Attributes:
        min_eye_distance_px: SFace's score against the full-size photo is 0.95 or more at 20 px, 0.6 to 0.9 at 12 px.
        max_roll_degrees: largest rotation to either side; SFace tolerates smaller ones (0.89 at 30).
        min_sharpness: unchanged photos measured 0.013 to 0.11. Gaussian blur of sigma 7 % of the eye distance, where
            the score against the original is 0.7, measured 0.005 in the median; 10 %, where it is 0.5, at most 0.006.
        min_mean_luma: low on purpose. A well-exposed photo of a dark-skinned person has a low mean, and darkness hardly
            affects SFace: at a mean of 24 the score against the original is still 0.89.
        max_clipped_bright: largest share of white pixels; with half of them white the score falls to 0.63.
        min_inside_photo: all of 46 whole faces measured 1. Of 966 faces that were cut so that an eye, the nose or the
            mouth lay outside, 32 measured 0.95 or more, all cut below the nose; of 1,118 cut faces whose score against
            the whole one is still 0.9, 83 measured less (ADR 0044).
    """

    min_detection_score: float = 0.7
    min_eye_distance_px: float = 20.0
    max_roll_degrees: float = 30.0
    min_sharpness: float = 0.008
    min_mean_luma: float = 25.0
    max_mean_luma: float = 225.0
    max_clipped_dark: float = 0.5
    max_clipped_bright: float = 0.25
    min_inside_photo: float = 0.95

    def check(self, report: QualityReport) -> None:
        """Raise an error for the first limit that a face does not meet.

        Raises:
            PoorQualityError: states the measurement, the limit and what to do.

        Not checked: whether the face looks to the side (yaw, pitch), is partly covered, or is cut off below the nose so
        that the detector places the mouth inside the photo.
        """
        # Before all others: the rest is measured on pixels that may not be there.
        if report.inside_photo < self.min_inside_photo:
            raise PoorQualityError(
                f"the face is partly outside the photo: {report.inside_photo:.0%} of it is inside, expected at least "
                f"{self.min_inside_photo:.0%}; take the photo with the whole face in it",
                reason=Reason.PHOTO_OUTSIDE,
            )
        if report.eye_distance_px < self.min_eye_distance_px:
            raise PoorQualityError(
                f"the face is too small: {report.eye_distance_px:.0f} px between the eyes, expected "
                f"{self.min_eye_distance_px:.0f} or more; come closer",
                reason=Reason.PHOTO_FAR,
            )
        if report.detection_score < self.min_detection_score:
            raise PoorQualityError(
                f"the face is hard to detect: detection score {report.detection_score:.2f}, expected "
                f"{self.min_detection_score:.2f} or more; face the camera with nothing covering the face",
                reason=Reason.PHOTO_UNCLEAR,
            )
        # Exposure before sharpness: an over-exposed face has no detail, and the light must be changed first.
        if report.mean_luma > self.max_mean_luma or report.clipped_bright > self.max_clipped_bright:
            raise PoorQualityError(
                f"the face is over-exposed: {report.clipped_bright:.0%} white pixels and mean brightness "
                f"{report.mean_luma:.0f} of 255, expected at most {self.max_clipped_bright:.0%} and "
                f"{self.max_mean_luma:.0f}; use less light or a shorter exposure",
                reason=Reason.PHOTO_BRIGHT,
            )
        if report.mean_luma < self.min_mean_luma or report.clipped_dark > self.max_clipped_dark:
            raise PoorQualityError(
                f"the face is under-exposed: {report.clipped_dark:.0%} black pixels and mean brightness "
                f"{report.mean_luma:.0f} of 255, expected at most {self.max_clipped_dark:.0%} and at least "
                f"{self.min_mean_luma:.0f}; use more light from the front",
                reason=Reason.PHOTO_DARK,
            )
        if report.sharpness < self.min_sharpness:
            raise PoorQualityError(
                f"the face is blurred: sharpness {report.sharpness:.4f}, expected {self.min_sharpness:.4f} or more; "
                "hold still, clean the lens and let the camera focus",
                reason=Reason.PHOTO_BLURRED,
            )
        # Last, because the roll of a degraded photo cannot be measured reliably.
        if abs(report.roll_degrees) > _UPSIDE_DOWN_DEGREES:
            raise PoorQualityError(
                f"the face is upside down: turned by {abs(report.roll_degrees):.0f} degrees, expected at most "
                f"{self.max_roll_degrees:.0f}; turn the photo upright, and check how the camera is mounted",
                reason=Reason.PHOTO_UPSIDE_DOWN,
            )
        if abs(report.roll_degrees) > self.max_roll_degrees:
            raise PoorQualityError(
                f"the head is tilted by {abs(report.roll_degrees):.0f} degrees, expected at most "
                f"{self.max_roll_degrees:.0f}; hold head and camera upright",
                reason=Reason.PHOTO_TILTED,
            )


def assess(image: RgbImage, face: DetectedFace, *, roll: float) -> QualityReport:
    """Measure the quality of one face; computes no embedding, so it needs no consent.

    The roll, in degrees, is from `YuNetDetector.roll_degrees`; `Extractor.assess` measures it.
    """
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    # repeat_edge: a black border would count as the sharpest edge.
    crop = align(image, face.landmarks, repeat_edge=True)
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[_INNER].astype(np.float64)
    crop.fill(0)
    # Laplacian of Gaussian: without smoothing, sensor noise and quantisation to 256 levels count as fine detail, and a
    # badly blurred face measures sharper than a slightly blurred one. The outermost pixels lack neighbours.
    smooth = cv2.GaussianBlur(luma, (0, 0), _SMOOTHING_PX)
    laplacian = cv2.Laplacian(smooth, cv2.CV_64F, ksize=1)[2:-2, 2:-2]
    # A flat patch has neither contrast nor detail: sharpness 0, not 0 / 0. The divisor is at least one grey level.
    sharpness = float(laplacian.var()) / max(float(luma.var()), 1.0)
    return QualityReport(
        detection_score=face.detection_score,
        eye_distance_px=eye_distance_px(face.landmarks),
        roll_degrees=roll,
        sharpness=sharpness,
        mean_luma=float(luma.mean()),
        clipped_dark=float((luma <= _DARK).mean()),
        clipped_bright=float((luma >= _BRIGHT).mean()),
        inside_photo=share_inside(image, face.landmarks, *_INNER),
    )
