"""Face image quality: whether a face in a photo is good enough to become part of a reference.

The quality components of ISO/IEC 29794-5 that are measured, and what they are called here:

| ISO/IEC 29794-5 | here |
|---|---|
| single face present | checked by `volens.enroll.capture` |
| leftward, rightward, upward and downward crop of the face image | `inside_photo` |
| head pose roll, head pose yaw | `roll_degrees`, `nose_offset` |
| inter-eye distance | `eye_distance_px` |
| sharpness | `sharpness`, and `directional_sharpness` for motion blur |
| over-exposure and under-exposure prevention, luminance mean | `clipped_bright`, `clipped_dark`, `mean_luma` |
| eyes visible, mouth occlusion prevention | `flat_eyes_px`, `flat_mouth_px` |

The measures are our own, not those of the standard's reference software (OFIQ), and give no quality scores of 0 to 100.
Sharpness, exposure and covering are measured on the aligned crop, so that they do not depend on the size of the photo.
The limits were set so that unchanged photos pass with a margin (AT&T faces of 92x112 px, grey; colour photos), and
photos degraded until SFace scores them below about 0.8 against the unchanged one do not (docs/adr/0065).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from volens.consent.reason import Reason
from volens.face.alignment import align, eye_distance_px, nose_offset, share_inside
from volens.face.detector import TURNED_DEGREES, DetectedFace
from volens.face.face_errors import PoorQualityError
from volens.face.image import RgbImage

# Rows and columns of the crop: brows to chin, without hair, background or area outside the photo.
_INNER: Final = (slice(40, 96), slice(28, 84))
_EYES: Final = (slice(40, 64), slice(20, 92))
_MOUTH: Final = (slice(70, 110), slice(24, 88))
_SMOOTHING_PX: Final = 1.0
_DARK: Final = 5
_BRIGHT: Final = 250
_SURE_ROLL: Final = 0.85
_FLAT_SIDE_PX: Final = 5
_FLAT_SHARE: Final = 0.015
_DIRECTIONS: Final = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Measurements of one face; no limits applied.

    Attributes:
        eye_distance_px: between the eye landmarks, in pixels of the photo.
        roll_degrees: in-plane rotation of the face, -180 to 180, positive is clockwise on screen; standard deviation 8
            degrees.
        roll_score: detection score of the face when it is turned upright, 0..1: below 0.85 the roll is a guess.
        nose_offset: how far the head is turned aside; see `volens.face.alignment.nose_offset`.
        sharpness: variance of the Laplacian of the slightly smoothed luma, over the variance of luma, on the aligned
            crop; no unit, higher is sharper, independent of brightness and contrast.
        directional_sharpness: the same with the second derivative in one of four directions (0, 45, 90, 135 degrees),
            the lowest of them: a movement blurs along its own direction only.
        mean_luma: 0..255, of the aligned crop.
        clipped_dark: share of the aligned crop's pixels with luma 5 or less, 0..1.
        clipped_bright: share with luma 250 or more, 0..1.
        inside_photo: share of the aligned crop, between brows and chin, that lies inside the photo, 0..1.
        flat_eyes_px: the largest connected area without any detail at the height of the eyes, in pixels of the aligned
            crop (24 rows of 72). Detail is a standard deviation of luma in 5x5 pixels of 1.5 % of that of the face.
        flat_mouth_px: the same from the nose to the chin (40 rows of 64).
    """

    detection_score: float
    eye_distance_px: float
    roll_degrees: float
    roll_score: float
    nose_offset: float
    sharpness: float
    directional_sharpness: float
    mean_luma: float
    clipped_dark: float
    clipped_bright: float
    inside_photo: float
    flat_eyes_px: int
    flat_mouth_px: int


class Problem(NamedTuple):
    """A limit that a face does not meet; the sentence is for the operator, in English."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class QualityRules:
    """Quality limits; a face must meet all of them.

    Attributes:
        min_eye_distance_px: SFace's score against the full-size photo is 0.95 or more at 20 px, 0.6 to 0.9 at 12 px.
        max_roll_degrees: largest rotation to either side; SFace tolerates smaller ones (0.89 at 30).
        max_nose_offset: 390 photos measured at most 0.26. Beyond 0.35 half of the face is hidden.
        min_sharpness: unchanged photos measured 0.013 to 0.11. Gaussian blur of sigma 7 % of the eye distance, where
            the score against the original is 0.7, measured 0.005 in the median; 10 %, where it is 0.5, at most 0.006.
        min_directional_sharpness: unchanged photos measured 0.0028 or more; a movement by 40 % of the eye distance, in
            any of four directions, at most 0.0022 in 95 of 100.
        min_mean_luma: low on purpose. A well-exposed photo of a dark-skinned person has a low mean, and darkness hardly
            affects SFace: at a mean of 24 the score against the original is still 0.89.
        max_clipped_bright: largest share of white pixels; with half of them white the score falls to 0.63.
        min_inside_photo: all of 46 whole faces measured 1. Of 966 faces that were cut so that an eye, the nose or the
            mouth lay outside, 32 measured 0.95 or more, all cut below the nose; of 1,118 cut faces whose score against
            the whole one is still 0.9, 83 measured less (ADR 0044).
        max_flat_eyes_px: 397 unchanged photos measured at most 31; with painted bars and dark glasses, 95 of 100
            measured 157 or more.
        max_flat_mouth_px: unchanged at most 167; with painted bars and masks, 99 of 100 measured 719 or more.
    """

    min_detection_score: float = 0.7
    min_eye_distance_px: float = 20.0
    max_roll_degrees: float = 30.0
    max_nose_offset: float = 0.35
    min_sharpness: float = 0.008
    min_directional_sharpness: float = 0.0026
    min_mean_luma: float = 25.0
    max_mean_luma: float = 225.0
    max_clipped_dark: float = 0.5
    max_clipped_bright: float = 0.25
    min_inside_photo: float = 0.95
    max_flat_eyes_px: int = 100
    max_flat_mouth_px: int = 300

    def check(self, report: QualityReport) -> None:
        """Raise an error for the first limit that a face does not meet.

        Raises:
            PoorQualityError: states the measurement, the limit and what to do.

        Not checked: whether the face looks up or down (pitch), is covered by something with a pattern, or is cut off
        below the nose so that the detector places the mouth inside the photo.
        """
        for problem in self.problems(report):
            raise PoorQualityError(problem.sentence, reason=problem.reason)

    def problems(self, report: QualityReport) -> Iterator[Problem]:
        """Yield each limit that a face does not meet.

        1. Where the face lies in the photo and how it is turned: the rest is measured on its pixels.
        2. Its size, and whether it is a face at all.
        3. Too much light, which leaves flat areas; what covers it, which makes the rest look blurred; then blur, and
           too little light (docs/adr/0065 says how often another order gives another reason).
        4. How it is turned, if that could not be measured reliably: the other reasons are better advice.
        """
        yield from self._placed(report)
        # 2.
        if report.eye_distance_px < self.min_eye_distance_px:
            yield Problem(
                Reason.PHOTO_FAR,
                f"the face is too small: {report.eye_distance_px:.0f} px between the eyes, expected "
                f"{self.min_eye_distance_px:.0f} or more; come closer",
            )
        if report.detection_score < self.min_detection_score:
            yield Problem(
                Reason.PHOTO_UNCLEAR,
                f"the face is hard to detect: detection score {report.detection_score:.2f}, expected "
                f"{self.min_detection_score:.2f} or more; face the camera with nothing covering the face",
            )
        # 3.
        if report.mean_luma > self.max_mean_luma or report.clipped_bright > self.max_clipped_bright:
            yield Problem(
                Reason.PHOTO_BRIGHT,
                f"the face is over-exposed: {report.clipped_bright:.0%} white pixels and mean brightness "
                f"{report.mean_luma:.0f} of 255, expected at most {self.max_clipped_bright:.0%} and "
                f"{self.max_mean_luma:.0f}; use less light or a shorter exposure",
            )
        yield from self._covered(report)
        yield from self._blurred(report)
        if report.mean_luma < self.min_mean_luma or report.clipped_dark > self.max_clipped_dark:
            yield Problem(
                Reason.PHOTO_DARK,
                f"the face is under-exposed: {report.clipped_dark:.0%} black pixels and mean brightness "
                f"{report.mean_luma:.0f} of 255, expected at most {self.max_clipped_dark:.0%} and at least "
                f"{self.min_mean_luma:.0f}; use more light from the front",
            )
        # 4.
        if report.roll_score < _SURE_ROLL:
            yield from self._rolled(report)

    def _placed(self, report: QualityReport) -> Iterator[Problem]:
        """Do step 1 of `problems`."""
        if report.inside_photo < self.min_inside_photo:
            yield Problem(
                Reason.PHOTO_OUTSIDE,
                f"the face is partly outside the photo: {report.inside_photo:.0%} of it is inside, expected at least "
                f"{self.min_inside_photo:.0%}; take the photo with the whole face in it",
            )
        if report.roll_score >= _SURE_ROLL:
            yield from self._rolled(report)
        if abs(report.nose_offset) > self.max_nose_offset:
            yield Problem(
                Reason.PHOTO_PROFILE,
                f"the head is turned aside: the nose is {abs(report.nose_offset):.2f} eye distances from the middle, "
                f"expected at most {self.max_nose_offset:.2f}; look towards the camera",
            )

    def _rolled(self, report: QualityReport) -> Iterator[Problem]:
        roll = abs(report.roll_degrees)
        if roll > TURNED_DEGREES:
            yield Problem(
                Reason.PHOTO_TURNED,
                f"the photo is not upright: the face is turned by {roll:.0f} degrees, expected at most "
                f"{self.max_roll_degrees:.0f}; turn the photo, and check how the camera is mounted",
            )
        elif roll > self.max_roll_degrees:
            yield Problem(
                Reason.PHOTO_TILTED,
                f"the head is tilted by {roll:.0f} degrees, expected at most {self.max_roll_degrees:.0f}; hold head "
                "and camera upright",
            )

    def _covered(self, report: QualityReport) -> Iterator[Problem]:
        if report.flat_eyes_px > self.max_flat_eyes_px:
            yield Problem(
                Reason.PHOTO_EYES_COVERED,
                f"the eyes are covered: {report.flat_eyes_px} px without any detail, expected at most "
                f"{self.max_flat_eyes_px}; take off dark glasses and what hides the eyes",
            )
        if report.flat_mouth_px > self.max_flat_mouth_px:
            yield Problem(
                Reason.PHOTO_MOUTH_COVERED,
                f"the mouth is covered: {report.flat_mouth_px} px without any detail, expected at most "
                f"{self.max_flat_mouth_px}; take off the mask, scarf or hand",
            )

    def _blurred(self, report: QualityReport) -> Iterator[Problem]:
        if report.sharpness < self.min_sharpness:
            yield Problem(
                Reason.PHOTO_BLURRED,
                f"the face is blurred: sharpness {report.sharpness:.4f}, expected {self.min_sharpness:.4f} or more; "
                "hold still, clean the lens and let the camera focus",
            )
        elif report.directional_sharpness < self.min_directional_sharpness:
            yield Problem(
                Reason.PHOTO_BLURRED,
                f"the face is blurred by a movement: sharpness {report.directional_sharpness:.4f} in one direction, "
                f"expected {self.min_directional_sharpness:.4f} or more; hold still, and use more light",
            )


def is_cut_off(image: RgbImage, face: DetectedFace) -> bool:
    """Return whether a face lies partly outside the picture, for a door: what is not seen cannot be compared."""
    return share_inside(image, face.landmarks, *_INNER) < QualityRules().min_inside_photo


def assess(image: RgbImage, face: DetectedFace, *, roll: float, roll_score: float = 1.0) -> QualityReport:
    """Measure the quality of one face; computes no embedding, so it needs no consent.

    The roll, in degrees, and its score are from `YuNetDetector.roll`; `Extractor.assess` measures them.
    """
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    # repeat_edge: a black border would count as the sharpest edge.
    crop = align(image, face.landmarks, repeat_edge=True)
    whole = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float64)
    crop.fill(0)
    luma = whole[_INNER]
    # A flat patch has neither contrast nor detail: sharpness 0, not 0 / 0. The divisor is at least one grey level.
    contrast = max(float(luma.var()), 1.0)
    # Laplacian of Gaussian: without smoothing, sensor noise and quantisation to 256 levels count as fine detail, and a
    # badly blurred face measures sharper than a slightly blurred one. The outermost pixels lack neighbours.
    smooth = cv2.GaussianBlur(luma, (0, 0), _SMOOTHING_PX)
    laplacian = cv2.Laplacian(smooth, cv2.CV_64F, ksize=1)[2:-2, 2:-2]
    flat = _is_flat(whole, _FLAT_SHARE * contrast**0.5)
    return QualityReport(
        detection_score=face.detection_score,
        eye_distance_px=eye_distance_px(face.landmarks),
        roll_degrees=roll,
        roll_score=roll_score,
        nose_offset=nose_offset(face.landmarks),
        sharpness=float(laplacian.var()) / contrast,
        directional_sharpness=min(_second_derivative(smooth, *one).var() for one in _DIRECTIONS) / contrast,
        mean_luma=float(luma.mean()),
        clipped_dark=float((luma <= _DARK).mean()),
        clipped_bright=float((luma >= _BRIGHT).mean()),
        inside_photo=share_inside(image, face.landmarks, *_INNER),
        flat_eyes_px=_largest_area(flat[_EYES]),
        flat_mouth_px=_largest_area(flat[_MOUTH]),
    )


def _second_derivative(smooth: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Return the second derivative in one direction, at the distance of one pixel, without the outermost two."""
    around = [
        smooth[2 + way * down : smooth.shape[0] - 2 + way * down, 2 + way * right : smooth.shape[1] - 2 + way * right]
        for way in (-1, 0, 1)
    ]
    before, here, after = around
    return np.asarray((before + after - 2 * here) / (down * down + right * right))


def _is_flat(luma: NDArray[Any], least: float) -> NDArray[np.bool_]:
    """Return where the standard deviation of luma in 5x5 pixels is below a limit."""
    import cv2  # noqa: PLC0415  as above

    side = (_FLAT_SIDE_PX, _FLAT_SIDE_PX)
    mean = cv2.blur(luma, side)
    variance = np.maximum(cv2.blur(luma * luma, side) - mean * mean, 0)
    return np.asarray(variance < least * least)


def _largest_area(mask: NDArray[np.bool_]) -> int:
    """Return the pixels of the largest connected area, by edges."""
    import cv2  # noqa: PLC0415  as above

    _, _, areas, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    return int(areas[1:, cv2.CC_STAT_AREA].max(initial=0))
