"""The keyed projection: one seed gives one sketch, another an unlinkable one, and distance follows the angle."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from volens.index import Projection, distance_bound, estimate_deviation, sketch_bits

SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
DEVIATIONS = 4.0


def unit(numbers: np.random.Generator, dimension: int) -> NDArray[np.float32]:
    vector = numbers.standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def at_angle(numbers: np.random.Generator, vector: NDArray[np.float32], score: float) -> NDArray[np.float32]:
    """Return a unit vector whose cosine similarity with another is `score`."""
    other = numbers.standard_normal(len(vector))
    other -= other @ vector * vector
    other /= np.linalg.norm(other)
    return (score * vector + math.sqrt(1 - score**2) * other).astype(np.float32)


def hamming(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.unpackbits(one ^ other).sum())


@pytest.mark.parametrize(
    ("dimension", "bits"), [(2, 1024), (128, 1024), (255, 1024), (256, 512), (512, 512), (1024, 512)]
)
def test_small_models_get_more_bits(dimension: int, bits: int) -> None:
    assert sketch_bits(dimension) == bits


@pytest.mark.parametrize("dimension", [2, 100, 128, 512, 600])
def test_a_sketch_has_the_declared_number_of_bits(dimension: int) -> None:
    projection = Projection(SEED, dimension)
    sketch = projection.sketch(unit(np.random.default_rng(1), dimension))

    assert (projection.dimension, projection.bits) == (dimension, sketch_bits(dimension))
    assert (sketch.dtype, sketch.shape) == (np.uint8, (projection.bits // 8,))


def test_the_same_seed_gives_the_same_sketch_and_the_opposite_vector_its_complement() -> None:
    vector = unit(np.random.default_rng(2), 128)
    sketch = Projection(SEED, 128).sketch(vector)

    assert np.array_equal(Projection(SEED, 128).sketch(vector), sketch)
    assert np.array_equal(Projection(SEED, 128).sketch(-vector), ~sketch)
    # Pinned: a gallery on another machine must be able to hold the same sketches.
    assert sketch[:8].tobytes().hex() == "43b7d5e330f80164"


def test_a_sketch_is_the_callers_own_and_the_vector_is_not_written() -> None:
    projection, vector = Projection(SEED, 128), unit(np.random.default_rng(2), 128)
    vector.flags.writeable = False
    first = projection.sketch(vector)
    first.fill(0)

    assert projection.sketch(vector).any()


@pytest.mark.parametrize("dimension", [128, 512])
def test_sketches_under_two_seeds_cannot_be_linked(dimension: int) -> None:
    one, other = Projection(SEED, dimension), Projection(OTHER_SEED, dimension)
    numbers = np.random.default_rng(3)
    vectors = [unit(numbers, dimension) for _ in range(200)]
    shares = [hamming(one.sketch(vector), other.sketch(vector)) / one.bits for vector in vectors]

    # Fair coins: 0.5 on average, and as spread as coins are.
    assert np.mean(shares) == pytest.approx(0.5, abs=0.005)
    assert np.std(shares) == pytest.approx(0.5 / math.sqrt(one.bits), rel=0.25)
    # Nor is the same person's sketch nearer than another's.
    strangers = [hamming(one.sketch(a), other.sketch(b)) / one.bits for a, b in pairwise(vectors)]
    assert np.mean(shares) == pytest.approx(np.mean(strangers), abs=0.01)


@pytest.mark.parametrize("dimension", [64, 128, 512])
def test_the_projection_is_made_of_rotations(dimension: int) -> None:
    projection = Projection(SEED, dimension)
    rows = projection._rows.astype(np.float64)
    assert rows.shape == (projection.bits, dimension)
    for start in range(0, projection.bits, dimension):
        block = rows[start : start + dimension]
        assert np.allclose(block @ block.T, np.eye(len(block)), atol=1e-5)
    blocks = [rows[start : start + dimension] for start in range(0, projection.bits, dimension)]
    assert not any(np.allclose(a, b) for a, b in pairwise(blocks))


def test_the_rotations_are_evenly_distributed() -> None:
    """Without the signs of QR fixed, the diagonal of a rotation would lean to one side."""
    entries = np.concatenate([Projection(bytes([number] * 32), 64)._rows.ravel() for number in range(8)])

    assert np.mean(entries) == pytest.approx(0.0, abs=0.001)
    assert np.mean([np.mean(np.diag(Projection(bytes([n] * 32), 64)._rows[:64])) for n in range(20)]) == pytest.approx(
        0.0, abs=0.02
    )


@pytest.mark.parametrize("dimension", [128, 512])
@pytest.mark.parametrize("score", [-0.5, 0.0, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_the_distance_follows_the_angle(dimension: int, score: float) -> None:
    projection, numbers = Projection(SEED, dimension), np.random.default_rng(4)
    distances = []
    for _ in range(300):
        vector = unit(numbers, dimension)
        distances.append(hamming(projection.sketch(vector), projection.sketch(at_angle(numbers, vector, score))))

    p = math.acos(score) / math.pi
    spread = math.sqrt(projection.bits * p * (1 - p))
    assert np.mean(distances) == pytest.approx(projection.bits * p, abs=4 * spread / math.sqrt(300))
    # At most as spread as a binomial variable: what `distance_bound` rests on (10 % for the sample's own error).
    assert np.std(distances) <= 1.1 * spread


def test_the_distance_bound_is_the_mean_plus_deviations() -> None:
    for bits, score, deviations in ((512, 0.0, 4.0), (1024, 0.5, 2.0), (1024, 0.9, 0.0)):
        p = math.acos(score) / math.pi
        expected = bits * p + deviations * math.sqrt(bits * p * (1 - p))
        assert distance_bound(score, bits, deviations) == pytest.approx(expected)


@pytest.mark.parametrize("bits", [512, 1024])
def test_a_higher_score_allows_a_smaller_distance_and_more_deviations_a_larger_one(bits: int) -> None:
    scores = np.linspace(-0.9, 1.0, 200)
    bounds = [distance_bound(float(score), bits, DEVIATIONS) for score in scores]

    assert bounds == sorted(bounds, reverse=True)
    assert len(set(bounds)) == len(bounds)
    assert bounds[-1] == 0
    assert distance_bound(0.5, bits, 5) > distance_bound(0.5, bits, 4) > distance_bound(0.5, bits, 0)


@pytest.mark.parametrize(("score", "like"), [(1.0000001, 1.0), (2.0, 1.0), (-1.1, -1.0)])
def test_scores_slightly_out_of_range_are_clamped(score: float, like: float) -> None:
    assert distance_bound(score, 512, DEVIATIONS) == distance_bound(like, 512, DEVIATIONS)


def samples(score: float, count: int) -> Iterator[int]:
    numbers = np.random.default_rng(5)
    for number in range(count // 500):
        projection = Projection(number.to_bytes(32), 128)
        for _ in range(500):
            vector = unit(numbers, 128)
            yield hamming(projection.sketch(vector), projection.sketch(at_angle(numbers, vector, score)))


@pytest.mark.parametrize(("deviations", "at_most"), [(2.0, 0.0228), (3.0, 0.00135), (4.0, 0.00003)])
def test_the_distance_bound_misses_no_more_than_documented(deviations: float, at_most: float) -> None:
    """The stated 3 in 100,000 at four deviations is the normal tail; the smaller ones can be counted."""
    count = 8000
    bound = distance_bound(0.5, 1024, deviations)

    misses = sum(distance > bound for distance in samples(0.5, count))

    # Twice the expectation and two more: what chance could add.
    assert misses <= 2 * at_most * count + 2


@pytest.mark.parametrize("dimension", [100, 128, 512])
@pytest.mark.parametrize("score", [-0.4, 0.0, 0.3, 0.5, 0.7, 0.9])
def test_the_estimate_is_unbiased_with_the_documented_deviation(dimension: int, score: float) -> None:
    projection, numbers, count = Projection(SEED, dimension), np.random.default_rng(6), 1500
    estimates = []
    for _ in range(count):
        vector = unit(numbers, dimension)
        sketches = projection.sketch(vector)[None]
        rotated = projection.rotated(at_angle(numbers, vector, score))
        estimates.append(float(projection.estimates(rotated, sketches)[0]))

    spread = estimate_deviation(score, projection.bits)
    assert np.mean(estimates) == pytest.approx(score, abs=4 * spread / math.sqrt(count))
    assert np.std(estimates) == pytest.approx(spread, rel=0.08)


def test_the_estimate_is_more_precise_than_the_hamming_distance() -> None:
    projection, numbers, score = Projection(SEED, 512), np.random.default_rng(7), 0.5
    by_estimate, by_distance = [], []
    for _ in range(600):
        vector = unit(numbers, 512)
        other = at_angle(numbers, vector, score)
        sketch = projection.sketch(vector)
        by_estimate.append(float(projection.estimates(projection.rotated(other), sketch[None])[0]))
        by_distance.append(math.cos(math.pi * hamming(sketch, projection.sketch(other)) / projection.bits))

    assert np.std(by_estimate) < 0.75 * np.std(by_distance)
