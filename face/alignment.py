"""Face alignment: rotate, scale and translate a face so that its landmarks lie where the embedding model expects them.

The transform is the least-squares similarity of Umeyama (1991), "Least-squares estimation of transformation
parameters between two point patterns", eq. 40-43. The template is ArcFace's
(insightface.utils.face_align.arcface_dst), which OpenCV uses for SFace as well.
"""

import math
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from volens.face.image import RgbImage
from volens.face.pixel_types import Pixels

Landmarks: TypeAlias = NDArray[np.float32]
"""float32 (5, 2), x then y in pixels: right eye, left eye, nose tip, right and left mouth corner. Right is the person's
right, which is on the left side of the image."""

CROP_SIDE_PX: Final = 112
TEMPLATE: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)


def align(image: RgbImage, landmarks: Landmarks, *, repeat_edge: bool = False) -> Pixels:
    """Crop a face, upright and at the embedding model's scale: uint8 (112, 112, 3), RGB, a new array.

    The area outside the photo is black, as the embedding models were trained; quality measurement needs `repeat_edge`,
    which fills it with the photo's edge pixels.

    Raises:
        ValueError: the landmarks have another shape, are not finite, or all lie on one point.
    """
    return warp(image, similarity(landmarks, TEMPLATE), CROP_SIDE_PX, repeat_edge=repeat_edge)


def share_inside(image: RgbImage, landmarks: Landmarks, rows: slice, columns: slice) -> float:
    """Return which share of some rows and columns of the aligned crop shows the photo, 0 to 1, and not its outside.

    Raises:
        ValueError: as `align`.
    """
    transform = similarity(landmarks, TEMPLATE)
    sides = np.array([[image.width], [image.height]])

    inverse = np.linalg.inv(transform[:, :2])

    def are_inside(crop_points: NDArray[np.floating]) -> NDArray[np.bool_]:
        points = inverse @ (crop_points - transform[:, 2:])
        # A pixel reaches half a pixel beyond its centre.
        return np.asarray(((points >= -1 / 2) & (points <= sides - 1 / 2)).all(axis=0))

    last_x, last_y = columns.stop - 1, rows.stop - 1
    corners = [[columns.start, last_x, columns.start, last_x], [rows.start, rows.start, last_y, last_y]]
    if are_inside(np.array(corners, np.float64)).all():
        return 1.0
    y, x = np.mgrid[rows, columns]
    return float(are_inside(np.stack([x.ravel(), y.ravel()])).mean())


def warp(image: RgbImage, transform: NDArray[np.float64], side: int, *, repeat_edge: bool) -> Pixels:
    """Crop a square by an affine transform: uint8 (side, side, 3), RGB, a new array; see `align` for `repeat_edge`.

    `transform` is a similarity from the photo's pixels to the square's, float64 (2, 3). Downscaling averages pixels,
    because skipping them aliases fine texture.
    """
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    transform = transform.copy()
    pixels: NDArray[Any] = image.pixels
    shrink = math.floor(1 / math.hypot(transform[0, 0], transform[1, 0]))
    if shrink > 1:
        left, top, right, bottom = _part_seen(image, transform, side, shrink)
        part = pixels[top:bottom, left:right]
        transform[:, 2] += transform[:, :2] @ np.array([left, top])
        size = (max(1, part.shape[1] // shrink), max(1, part.shape[0] // shrink))
        pixels = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        factors = np.array([part.shape[1] / size[0], part.shape[0] / size[1]])
        # Centres of pixels: x' + 1/2 = (x + 1/2) / factor.
        transform[:, 2] += transform[:, :2] @ ((factors - 1) / 2)
        transform[:, :2] *= factors
    border = cv2.BORDER_REPLICATE if repeat_edge else cv2.BORDER_CONSTANT
    crop = cv2.warpAffine(pixels, transform, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(crop, dtype=np.uint8)


def _part_seen(image: RgbImage, transform: NDArray[np.float64], side: int, shrink: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a part of the image that holds all that `warp` shows of it.

    The part begins at a multiple of `shrink`, so that pixels are averaged as in the whole image.
    """
    corners = np.array([[0, side, 0, side], [0, 0, side, side]]) - transform[:, 2:]
    points = np.linalg.solve(transform[:, :2], corners)
    sides = np.array([image.width, image.height])
    first = (np.floor(points.min(axis=1) / shrink) - 2) * shrink
    last = (np.ceil(points.max(axis=1) / shrink) + 2) * shrink
    first = np.clip(first, 0, np.maximum(0, (sides // shrink - 1) * shrink))
    last = np.clip(last, np.minimum(first + shrink, sides), sides)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the least-squares similarity transform (rotation, scale, translation; no reflection) to `target`.

    1. Centre both point sets.
    2. As complex numbers, the transform is one factor: its angle is the rotation, its size the scale. The least-squares
       factor is the covariance by the variance of the source. In the plane this is Umeyama's result, without an SVD.
    3. Translate.

    Both sets are (n, 2); the result is float64 (2, 3): ``target ~ matrix @ (x, y, 1)``.

    Raises:
        ValueError: shapes differ, a value is not finite, or the source has no extent.
    """
    a, b = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2:  # noqa: PLR2004  (n, 2)
        raise ValueError(f"got points of shapes {a.shape} and {b.shape}; expected the same (n, 2)")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("got a landmark that is not finite; expected pixels")
    # 1.
    centre_a, centre_b = a.mean(axis=0), b.mean(axis=0)
    a, b = a - centre_a, b - centre_b
    variance = float((a**2).sum())
    if variance < len(a) * np.finfo(np.float32).eps:
        raise ValueError("got landmarks that all lie on one point; expected five points of a face")
    # 2.
    real = float((a * b).sum()) / variance
    imaginary = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / variance
    scaled = np.array([[real, -imaginary], [imaginary, real]])
    # 3.
    return np.column_stack([scaled, centre_b - scaled @ centre_a])


def nose_offset(landmarks: Landmarks) -> float:
    """Return how far the nose is from the middle between the eyes, in eye distances, along the line of the eyes.

    0 is a face that looks into the camera. Positive is turned to the person's own left, which is the right side of a
    picture that is not mirrored.
    """
    right_eye, left_eye, nose = (landmarks[row] for row in range(3))
    line = left_eye - right_eye
    length = float(line @ line) ** 0.5 or 1.0
    middle = (left_eye + right_eye) / 2
    return float((nose - middle) @ line) / length**2


def eye_distance_px(landmarks: Landmarks) -> float:
    """Return the distance between the two eye landmarks in pixels."""
    dx, dy = (float(value) for value in landmarks[1] - landmarks[0])
    return math.hypot(dx, dy)
