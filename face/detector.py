"""Face detection with YuNet: bounding boxes, and the five landmarks that alignment needs.

Decoding is that of OpenCV's FaceDetectorYN (modules/objdetect/src/face_detect.cpp). Source: Wu, Peng and Yu, "YuNet: A
Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023).

BUG: the landmarks of the int8 weights hardly rotate with the face: on a face rotated by 30 degrees, the eye line is
rotated by 2 to 4. OpenCV computes the same from the same file, and its maintainers know of wrong landmarks in quantised
weights (opencv_zoo issue 116). On a face that is upside down, the eye landmarks are on the mouth: on 39 of 39 faces,
the landmarks are those of an upright face. SFace tolerates smaller angles (median score against the upright photo 0.95
at 15 degrees, 0.89 at 30), but the roll must be measured in another way: see `YuNetDetector.roll_degrees`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volens.face.alignment import Landmarks, warp
from volens.face.image import MIN_SIDE_PX, RgbImage
from volens.face.inference import session, shrinking
from volens.face.pixel_types import Pixels

LONGEST_SIDE_PX: Final = 640
FAR_SIDE_PX: Final = 960
"""At which longest side a larger image is searched for places where a face may be (`YuNetDetector.detect_far`)."""
SCORE_THRESHOLD: Final = 0.6
_SMALLEST_SIDE_PX: Final = 320
_STRIDES: Final = (8, 16, 32)
_OUTPUTS: Final = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in _STRIDES)
_PLACES: Final = tuple(name for name in _OUTPUTS if not name.startswith("kps"))
_LARGE_PIXELS: Final = 9_000_000
_NMS_OVERLAP: Final = 0.3
_MAX_CANDIDATES: Final = 1000
_ROLL_FACE_PX: Final = 96
_TURNED_FACE_PX: Final = 64
_ROLL_STEPS_DEGREES: Final = range(-180, 180, 15)
_ROLL_PEAK_DEGREES: Final = 75
TURNED_DEGREES: Final = 60
"""Roll from which a photo counts as turned by 90, 180 or 270 degrees, and not the head as tilted."""
_ROLL_LOWEST_SCORE: Final = 0.05
_ROLL_HIGHEST_SCORE: Final = 0.99
_FAR_SCORE: Final = 0.05
_FAR_PLACES: Final = 6
_FAR_CANDIDATES: Final = 64
_FAR_AROUND: Final = 3.0
_FAR_FACE_PX: Final = 64
_UPRIGHT: Final = ((48, 0.85), (_TURNED_FACE_PX, 0.88))
"""Width of a face, and the score from which it counts as upright at it without being looked at turned."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """One face in one image; the score is 0..1, higher is more confident.

    The box is (x, y, width, height) in the image's pixels, and may extend beyond its edge.
    """

    box: tuple[float, float, float, float]
    landmarks: Landmarks = field(repr=False)
    detection_score: float


class YuNetDetector:
    """YuNet in ONNX Runtime. One instance may serve several threads."""

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        """Load a folded YuNet; see `volens.face.inference.session` for the arguments and errors."""
        self._session = session(model, threads)

    def detect(
        self, image: RgbImage, *, longest_side: int = LONGEST_SIDE_PX, score_threshold: float = SCORE_THRESHOLD
    ) -> list[DetectedFace]:
        """Find faces, largest first; of equal size, the one with the higher score first.

        The image is scaled down to `longest_side` (pixels, from 32; smaller is faster and misses small faces), or up to
        320 px, before the network sees it. The faces are in the image's own pixels.

        Not checked: whether the photo shows a photo of a face (no presentation attack detection).
        """
        scale = min(longest_side, max(_SMALLEST_SIDE_PX, image.width, image.height)) / max(image.width, image.height)
        blob, scales = _blob(image, scale)
        # A large file is rare, and decoded beside other work: what it took is given back at once.
        is_large = image.width * image.height * image.reduced_by**2 > _LARGE_PIXELS
        scores, boxes, points = self._run(blob, score_threshold, shrinking() if is_large else None)
        faces = []
        for index in _suppressed(scores, boxes):
            x, y, width, height = (float(value) for value in boxes[index] / np.tile(scales, 2))
            landmarks = (points[index] / scales).astype(np.float32)
            if np.ptp(landmarks, axis=0).max() >= 1:  # otherwise alignment is not possible
                faces.append(DetectedFace((x, y, width, height), landmarks, float(scores[index])))
        return _largest_first(faces)

    def detect_far(self, image: RgbImage) -> list[DetectedFace]:
        """Find faces that are too small for `detect`, in an image in which it found none; largest first.

        1. The image is searched at a longest side of 960 px, with a score from 0.05 on: a face whose eyes are 24 px
           apart in 1920x1080 is then always among the few best places.
        2. The six best places are looked at in the image's own pixels, as `detect` does. Only what scores there counts.

        Cost: 17 ms for 1920x1080 px, and up to 1.5 ms for each place. A whole search at 1280 px takes 33 ms, and finds
        no more faces (docs/accuracy.md, "Distance").
        """
        # 1.
        scale = min(1.0, FAR_SIDE_PX / max(image.width, image.height))
        blob, scales = _blob(image, scale)
        scores, boxes, _ = self._run(blob, _FAR_SCORE)
        best = np.argsort(-scores, kind="stable")[:_FAR_CANDIDATES]
        places = [boxes[best][index] / np.tile(scales, 2) for index in _suppressed(scores[best], boxes[best])]
        # 2.
        found = [face for place in places[:_FAR_PLACES] for face in self._detect_around(image, place)]
        kept = _suppressed(
            np.array([face.detection_score for face in found], np.float32),
            np.array([face.box for face in found], np.float32).reshape(-1, 4),
        )
        return _largest_first([found[index] for index in kept])

    def _detect_around(self, image: RgbImage, place: NDArray[np.floating]) -> list[DetectedFace]:
        x, y, width, height = (float(value) for value in place)
        half = _FAR_AROUND / 2 * max(width, height)
        left, top = max(0, round(x + width / 2 - half)), max(0, round(y + height / 2 - half))
        right, bottom = (
            min(image.width, round(x + width / 2 + half)),
            min(image.height, round(y + height / 2 + half)),
        )
        if right - left < MIN_SIDE_PX or bottom - top < MIN_SIDE_PX:
            return []
        part = RgbImage(image.pixels[top:bottom, left:right])
        longest = min(round(_FAR_AROUND * _FAR_FACE_PX), max(part.width, part.height))
        return [_moved(face, left, top) for face in self.detect(part, longest_side=longest)]

    def roll_degrees(self, image: RgbImage, face: DetectedFace) -> float:
        """Return the roll of a face in degrees; see `roll`."""
        return self.roll(image, face)[0]

    def roll(self, image: RgbImage, face: DetectedFace) -> tuple[float, float]:
        """Return the roll in degrees, and the detection score of the face when it is turned upright.

        The roll (in-plane rotation) is estimated by the rotation at which the detection score is highest.

        The whole circle is searched. The score is flat near its peak and falls on both sides, so the result is the
        centre of mass of the peak within 75 degrees of the best angle, in log odds. Measured on 46 faces (ADR 0044):
        mean error below 3 and standard deviation at most 8 degrees at known angles from -90 to 180; none of the upright
        faces above 27, all of 39 that were upside down above 165. Cost: 24 detections of 192x192 px.

        The result is -180 to below 180, positive is clockwise on screen; 0 if the face is found at no angle.
        """
        odds = self._odds_by_angle(image, face, _ROLL_STEPS_DEGREES, _ROLL_FACE_PX)
        weights = np.clip(odds - np.median(odds), 0, None)
        best = _ROLL_STEPS_DEGREES[int(np.argmax(odds))]
        away = (np.array(_ROLL_STEPS_DEGREES) - best + 180) % 360 - 180
        weights[np.abs(away) > _ROLL_PEAK_DEGREES] = 0
        if not weights.any():
            return 0.0, 0.0
        score = 1 / (1 + float(np.exp(-odds.max())))
        return (best + float(weights @ away / weights.sum()) + 180) % 360 - 180, score

    def is_turned(self, image: RgbImage, face: DetectedFace) -> bool:
        """Return whether a face is turned by more than 60 degrees, for a door: nearly always with one detection.

        1. If the face is found with a score of 0.85 or more as it is, it is upright: about 97 of 100 upright faces
           were, and none of 2,004 that were turned by 60 degrees or more (at most 0.83). Else it is looked at a little
           larger, where 0.88 is needed (turned at most 0.87, and 0.86 beyond 60 degrees; ADR 0044).
        2. If it is found better as it is than turned by 90, 180 or 270 degrees, it is upright: so were 156 of 156
           upright faces, and none of 312 that were turned.
        3. Else the roll is measured.

        Cost: 1 detection of 96x96 px, or up to 4 more of 128x128, or 24 more of 192x192.
        """
        # 1.
        for face_px, least in _UPRIGHT:
            (upright,) = self._odds_by_angle(image, face, (0,), face_px)
            if upright >= np.log(least / (1 - least)):
                return False
        # 2. and 3.
        turned = self._odds_by_angle(image, face, (90, 180, 270), _TURNED_FACE_PX)
        return bool(max(turned) >= upright) and abs(self.roll_degrees(image, face)) > TURNED_DEGREES

    def _odds_by_angle(
        self, image: RgbImage, face: DetectedFace, angles: Sequence[int], face_px: int
    ) -> NDArray[np.float64]:
        """Return the log odds of the detection score of a face, turned counter-clockwise by each of the angles.

        The network sees the face `face_px` pixels large.
        """
        import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

        x, y, width, height = face.box
        centre = (x + width / 2, y + height / 2)
        side = 2 * face_px
        odds = []
        for angle in angles:
            scale = face_px / max(width, height)
            transform = np.asarray(cv2.getRotationMatrix2D(centre, angle, scale), np.float64)
            transform[:, 2] += side / 2 - np.array(centre)
            blob, _ = _blob(RgbImage(warp(image, transform, side, repeat_edge=True)), 1.0)
            score = min(self._score_in_middle(blob, face_px / 2), _ROLL_HIGHEST_SCORE)
            odds.append(np.log(score / (1 - score)))
        return np.array(odds)

    def _score_in_middle(self, blob: NDArray[np.float32], within_px: float) -> float:
        """Return the highest score of a face whose middle is that near to the middle; other faces are ignored.

        As `_run`, without what only a box and landmarks need.
        """
        outputs = dict(zip(_PLACES, self._session.run(list(_PLACES), {"input": blob}), strict=True))
        side, best = blob.shape[3], _ROLL_LOWEST_SCORE
        for stride in _STRIDES:
            score = _scores(outputs, stride)
            kept = np.flatnonzero(score > best)
            if kept.size:
                middle = (_cells(kept, side // stride) + outputs[f"bbox_{stride}"][0, kept, :2]) * stride
                near = kept[np.abs(middle - side / 2).max(axis=1) < within_px]
                best = float(score[near].max(initial=best))
        return best

    def _run(
        self,
        blob: NDArray[np.float32],
        score_threshold: float,
        options: Any = None,  # noqa: ANN401  onnxruntime ships no types
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        outputs = dict(zip(_OUTPUTS, self._session.run(list(_OUTPUTS), {"input": blob}, options), strict=True))
        return _decode(outputs, blob.shape[3], score_threshold)


def _largest_first(faces: Sequence[DetectedFace]) -> list[DetectedFace]:
    return sorted(faces, key=lambda face: (face.box[2] * face.box[3], face.detection_score), reverse=True)


def _moved(face: DetectedFace, left: int, top: int) -> DetectedFace:
    """Return a face that was found in a part of an image, in the pixels of the image."""
    x, y, width, height = face.box
    landmarks = face.landmarks + np.array([left, top], np.float32)
    return DetectedFace((x + left, y + top, width, height), landmarks, face.detection_score)


def _blob(image: RgbImage, scale: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return float32 (1, 3, h, w), BGR 0..255, sides multiples of 32 padded with black, and the scales in x and y."""
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    width, height = (max(1, round(side * scale)) for side in (image.width, image.height))
    pixels = _resized(image.pixels, width, height)
    step = _STRIDES[-1]
    blob = np.zeros((1, 3, -height % step + height, -width % step + width), dtype=np.float32)
    for channel, values in enumerate(reversed(cv2.split(pixels))):
        blob[0, channel, :height, :width] = values
    return blob, np.array([width / image.width, height / image.height])


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scale pixels to a size. Halves are averaged, the rest is interpolated: as good, at a third of the cost.

    From 1920x1080 to 1280 it takes 1 ms instead of 9, to 640 1 instead of 3, and the detector finds as many faces
    (docs/accuracy.md, "Distance").
    """
    import cv2  # noqa: PLC0415  as above

    while pixels.shape[1] >= 2 * width and pixels.shape[0] >= 2 * height:
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = np.asarray(cv2.resize(pixels, half, interpolation=cv2.INTER_AREA), np.uint8)
    if pixels.shape[:2] != (height, width):
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return pixels


def _decode(
    outputs: dict[str, NDArray[np.float32]], width: int, score_threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return scores (n,), boxes (n, 4) as x, y, width, height, and landmarks (n, 5, 2), in the network's pixels."""
    scores, boxes, points = [], [], []
    for stride in _STRIDES:
        score = _scores(outputs, stride)
        kept = np.flatnonzero(score >= score_threshold)
        cells = _cells(kept, width // stride)
        raw = outputs[f"bbox_{stride}"][0, kept]
        size = np.exp(raw[:, 2:]) * stride
        boxes.append(np.concatenate([(cells + raw[:, :2]) * stride - size / 2, size], axis=1))
        points.append((outputs[f"kps_{stride}"][0, kept].reshape(-1, 5, 2) + cells[:, None]) * stride)
        scores.append(score[kept])
    return np.concatenate(scores), np.concatenate(boxes), np.concatenate(points)


def _scores(outputs: dict[str, NDArray[np.float32]], stride: int) -> NDArray[np.float32]:
    cls, obj = (np.clip(outputs[f"{kind}_{stride}"][0, :, 0], 0.0, 1.0) for kind in ("cls", "obj"))
    return np.asarray(np.sqrt(cls * obj))


def _cells(kept: NDArray[np.intp], columns: int) -> NDArray[np.float32]:
    return np.stack([kept % columns, kept // columns], axis=1).astype(np.float32)


def _suppressed(scores: NDArray[np.float32], boxes: NDArray[np.float32]) -> list[int]:
    """Return the indices that greedy non-maximum suppression keeps, highest score first."""
    order = np.argsort(-scores, kind="stable")[:_MAX_CANDIDATES]
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    areas = boxes[:, 2] * boxes[:, 3]
    kept: list[int] = []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low = np.maximum(corners[first, :2], corners[rest, :2])
        high = np.minimum(corners[first, 2:], corners[rest, 2:])
        overlap = np.clip(high - low, 0, None).prod(axis=1)
        order = rest[overlap <= _NMS_OVERLAP * (areas[first] + areas[rest] - overlap)]
    return kept
