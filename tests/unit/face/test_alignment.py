"""Alignment: a similarity transform from five landmarks to the template."""

import math

import cv2
import numpy as np
import pytest

from volens.face import RgbImage, align, eye_distance_px
from volens.face.alignment import TEMPLATE, similarity, warp


def turned(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    angle = math.radians(degrees)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(points @ rotation.T * scale + np.array(shift))


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (17, 0.5), (-120, 3), (180, 10)])
def test_a_similarity_is_recovered_exactly(degrees: float, scale: float) -> None:
    moved = turned(TEMPLATE, degrees, scale, (31.5, -7.25))
    matrix = similarity(moved, TEMPLATE)
    np.testing.assert_allclose(moved @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-9)


def test_mirrored_points_are_rotated_and_never_reflected() -> None:
    mirrored = TEMPLATE * [-1, 1]
    assert np.linalg.det(similarity(mirrored, TEMPLATE)[:, :2]) > 0


def test_it_is_the_least_squares_solution() -> None:
    noisy = turned(TEMPLATE, 12, 2, (5, 5)) + np.random.default_rng(20240).normal(0, 2, (5, 2))
    # Independent: x' = a x - b y + c, y' = b x + a y + d, solved as a linear system.
    x, y = noisy.T
    zeros, ones = np.zeros(5), np.ones(5)
    system = np.vstack([np.column_stack([x, -y, ones, zeros]), np.column_stack([y, x, zeros, ones])])
    a, b, c, d = np.linalg.lstsq(system, TEMPLATE.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(noisy, TEMPLATE), [[a, -b, c], [b, a, d]], atol=1e-9)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(np.zeros((5, 2)), id="all on one point"),
        pytest.param(np.full((5, 2), np.nan), id="not finite"),
        pytest.param(np.zeros((4, 2)), id="four points"),
        pytest.param(np.zeros((5, 3)), id="three coordinates"),
    ],
)
def test_points_that_cannot_be_aligned_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        similarity(points, TEMPLATE)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (25, 1.5), (-15, 4.3), (8, 9.0)])
def test_an_image_is_aligned_to_the_template_within_a_fraction_of_a_pixel(degrees: float, scale: float) -> None:
    landmarks = turned(TEMPLATE, degrees, scale, (400, 300))
    size = 2000
    rows, columns = np.mgrid[0:size, 0:size]
    # Brightness rises linearly along x and y, so each pixel of the crop identifies its point in the photo.
    pixels = np.stack([columns / size * 255, rows / size * 255, columns * 0], axis=2).round().astype(np.uint8)
    crop = align(RgbImage(pixels), landmarks.astype(np.float32))
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    inverse = similarity(TEMPLATE, landmarks)
    for x, y in [(20, 20), (56, 56), (90, 30), (30, 100)]:
        expected = inverse @ [x, y, 1] / size * 255
        np.testing.assert_allclose(crop[y, x, :2], expected, atol=1.1)


def test_a_large_face_is_averaged_down_not_sampled() -> None:
    checks = (np.indices((1120, 1120)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = RgbImage(np.repeat(checks[:, :, None], 3, axis=2))
    crop = align(image, (TEMPLATE * 10).astype(np.float32))
    inner = crop[5:-5, 5:-5].astype(int)
    assert abs(inner - 127).max() <= 2


def test_the_area_outside_the_photo_is_black_or_its_edge() -> None:
    image = RgbImage(np.full((112, 60, 3), 200, dtype=np.uint8))
    landmarks = TEMPLATE.astype(np.float32)
    assert align(image, landmarks)[50, 100].max() == 0
    assert align(image, landmarks, repeat_edge=True)[50, 100].min() == 200


@pytest.mark.parametrize("degrees", [-90, -30, 0, 15, 60, 180])
def test_the_eye_distance_does_not_change_with_the_roll(degrees: float) -> None:
    level = TEMPLATE.copy()
    level[1, 1] = level[0, 1]
    landmarks = turned(level, degrees, 2, (500, 500)).astype(np.float32)
    assert eye_distance_px(landmarks) == pytest.approx(2 * (73.5318 - 38.2946), abs=1e-3)


@pytest.mark.parametrize("repeat_edge", [True, False])
@pytest.mark.parametrize("centre", [(900, 600), (10, 5), (1795, 1190), (-200, 300), (2500, 2500)])
def test_a_face_of_a_large_photo_is_averaged_as_in_the_whole_photo(
    centre: tuple[float, float], *, repeat_edge: bool
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1800, 3), dtype=np.uint8)
    photo = RgbImage(np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8))
    angle, scale = math.radians(20), 0.3
    matrix = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    transform = np.column_stack([matrix, 56 - matrix @ np.array(centre)])
    third = cv2.resize(photo.pixels, (600, 400), interpolation=cv2.INTER_AREA)
    in_third = np.column_stack([3 * matrix, transform[:, 2] + matrix @ np.array([1.0, 1.0])])
    border = cv2.BORDER_REPLICATE if repeat_edge else cv2.BORDER_CONSTANT
    expected = cv2.warpAffine(third, in_third, (112, 112), flags=cv2.INTER_LINEAR, borderMode=border)
    found = warp(photo, transform, 112, repeat_edge=repeat_edge)
    assert np.abs(found.astype(int) - expected).max() <= 2
