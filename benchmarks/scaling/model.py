"""Cost model of a gallery as pure functions of its size: time, memory, doors, and error rates of the comparison."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from volens.index import ESTIMATE_DEVIATIONS, SCAN_DEVIATIONS, distance_bound, estimate_deviation

CACHE_BYTES: Final = 16 << 20
"""Sketches up to here are read from the processor's cache, again and again; larger galleries come from memory."""

GENUINE: Final = NormalDist(0.6, 0.1)
"""Comparison scores of people with their own reference, as the benchmarks draw them."""

_STEPS: Final = 4_001
_LEAST_NS: Final = 1e-3
"""Lower limit of the cost of a row; no machine is as fast, and derived values divide by it."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Time of one scan by one thread, in nanoseconds: the cost of a call plus a cost for each row.

    Attributes:
        call_ns: of a scan of no rows.
        cached_ns: for each row, if the sketches fit the cache.
        memory_ns: for each row, if they do not.
        row_bytes: of a sketch.
    """

    call_ns: float
    cached_ns: float
    memory_ns: float
    row_bytes: int

    @classmethod
    def fitted(cls, observed: Mapping[int, Sequence[int]], row_bytes: int) -> Self:
        """Fit raw observations with least squares: nanoseconds of every query by size.

        Sizes count alike, because errors are relative. No cost is negative, also where the observations are noise:
        if the best line has a negative call or row cost, the best line without it is taken.

        Raises:
            ValueError: fewer than two sizes fit the cache.
        """
        medians = {size: median(times) for size, times in observed.items()}
        cached = {size: time for size, time in medians.items() if size * row_bytes <= CACHE_BYTES}
        if len(cached) < 2:  # noqa: PLR2004  a line has two ends
            raise ValueError(f"got {len(cached)} sizes that fit the cache; expected at least 2")
        sizes, times = np.array(list(cached), dtype=float), np.array(list(cached.values()), dtype=float)
        lines = np.stack([1 / times, sizes / times], axis=1)
        call, per_row = _not_negative(lines)
        per_row = max(per_row, _LEAST_NS)
        beyond = [(time - call) / size for size, time in medians.items() if size not in cached]
        return cls(call, per_row, max(float(median(beyond)), _LEAST_NS) if beyond else per_row, row_bytes)

    def ns(self, size: float) -> float:
        """Return the expected nanoseconds of a scan of `size` rows."""
        return self.call_ns + size * (self.cached_ns if size * self.row_bytes <= CACHE_BYTES else self.memory_ns)

    def rows_within(self, budget_ns: float) -> int:
        """Return how many rows of a large gallery are scanned in this time; 0 if the call itself takes longer."""
        return max(0, int((budget_ns - self.call_ns) / self.memory_ns))

    def bandwidth(self) -> float:
        """Return the bytes that a scan of a large gallery reads in a second."""
        return 1e9 * self.row_bytes / self.memory_ns


def _not_negative(lines: NDArray[np.float64]) -> tuple[float, float]:
    """Return the two factors, from 0, with which the columns come nearest to ones (NNLS, Lawson and Hanson 1974)."""
    ones = np.ones(len(lines))
    (call, per_row), *_ = np.linalg.lstsq(lines, ones, rcond=None)
    if call >= 0 and per_row >= 0:
        return float(call), float(per_row)
    # The columns are above 0, and so is the best factor of one alone.
    alone = [
        (float(factor[0]), float(rest[0]))
        for factor, rest, *_ in (np.linalg.lstsq(column[:, None], ones, rcond=None) for column in lines.T)
    ]
    (call, call_rest), (per_row, row_rest) = alone
    return (call, 0.0) if call_rest < row_rest else (0.0, per_row)


def identify_ns(size: float, scan: Scan, gate_ns: float) -> float:
    """Return the cost of one identification: the scan, and the gate, which does not grow."""
    return gate_ns + scan.ns(size)


def doors_per_core(size: float, scan: Scan, gate_ns: float, *, probes_per_s: float, busy: float) -> float:
    """Return how many doors one core serves, each with so many probes in a second, at this utilisation.

    Args:
        size: references.
        scan: of one thread.
        gate_ns: see `identify_ns`.
        probes_per_s: of one door, on average.
        busy: share of the core's time, above 0, below 1; the remainder keeps queues short.
    """
    return busy * 1e9 / identify_ns(size, scan, gate_ns) / probes_per_s


def rows_in_memory(size_bytes: float, bytes_per_row: float) -> int:
    """Return how many references fit."""
    return int(size_bytes / bytes_per_row)


def false_match_rate(threshold: float, dimensions: float) -> float:
    """Return the share of strangers' scores from a threshold on, if faces were spread evenly in so many dimensions.

    Real faces are not; a model behaves like fewer dimensions than it has numbers (`even_dimensions`).
    """
    at = np.linspace(threshold, 1.0, _STEPS)
    return float(np.trapezoid(_density(at, dimensions), at))


def even_dimensions(threshold: float, rate: float) -> float:
    """Return in how many dimensions evenly spread faces have this false match rate at this threshold.

    Raises:
        ValueError: the threshold is not above 0 and below 1, so that dimensions make no difference.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"got threshold {threshold}; expected one above 0 and below 1")
    low, high = 4.0, 4096.0
    while high - low > 1e-3:  # noqa: PLR2004  dimensions
        middle = (low + high) / 2
        low, high = (middle, high) if false_match_rate(threshold, middle) > rate else (low, middle)
    return (low + high) / 2


def false_identification_rate(size: float, threshold: float, dimensions: float) -> float:
    """Return the share of strangers who are taken for an enrolled person (FPIR)."""
    return -math.expm1(size * math.log1p(-min(false_match_rate(threshold, dimensions), 1 - 1e-16)))


def threshold_for(size: float, rate: float, dimensions: float) -> float:
    """Return the threshold at which strangers are taken for an enrolled person in this share of cases."""
    low, high = 0.0, 1.0
    while high - low > 1e-6:  # noqa: PLR2004  far finer than can be measured
        middle = (low + high) / 2
        low, high = (middle, high) if false_identification_rate(size, middle, dimensions) > rate else (low, middle)
    return high


def missed(threshold: float, genuine: NormalDist = GENUINE) -> float:
    """Return the share of enrolled people who stay below the threshold (FNIR)."""
    return genuine.cdf(threshold)


@dataclass(frozen=True, slots=True)
class Candidates:
    """References that one stranger's probe selects, on average.

    Attributes:
        within: references near enough, by their sketches, for their scores to be estimated.
        opened: sealed embeddings of other people, at most.
    """

    within: float
    opened: float


def candidates(size: int, bits: int, threshold: float, dimensions: float) -> Candidates:
    """Return how many references a stranger's probe selects, if faces were spread evenly in so many dimensions.

    A stranger's reference is opened if its sketch is near enough and its estimate within `ESTIMATE_DEVIATIONS` of the
    threshold. The estimate is the score plus the error of the sketch, which decreases with the number of bits.
    """
    scores = np.linspace(-1.0, 1.0, _STEPS)
    dense = _density(scores, dimensions)
    # Shares of a score's references whose estimate, and whose distance, is near enough.
    limit = threshold - ESTIMATE_DEVIATIONS * estimate_deviation(threshold, bits)
    bound = distance_bound(threshold, bits, SCAN_DEVIATIONS)
    differ = np.arccos(scores) / math.pi
    estimated = _normal((scores - limit) / estimate_deviation(0.0, bits))
    near = _normal((bound - bits * differ) / np.sqrt(bits * np.maximum(differ * (1 - differ), 1e-12)))
    opened, within = (size * float(np.trapezoid(share * dense, scores)) for share in (estimated, near))
    return Candidates(within, min(opened, within))


def _normal(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of a normal variable below each number of deviations."""
    return np.array([0.5 * math.erfc(-one / math.sqrt(2)) for one in deviations.tolist()])


def _density(scores: NDArray[np.float64], dimensions: float) -> NDArray[np.float64]:
    """Return the density of the scores of evenly spread vectors."""
    inside = np.minimum(scores**2, 1 - 1e-12)
    whole = math.sqrt(math.pi) * math.exp(math.lgamma((dimensions - 1) / 2) - math.lgamma(dimensions / 2))
    return np.asarray(np.exp((dimensions - 3) / 2 * np.log1p(-inside)) / whole)


def scan_miss(score: float, bits: int, threshold: float) -> float:
    """Return how often a reference of this score is not near enough for this threshold; see `SCAN_DEVIATIONS`."""
    p = math.acos(score) / math.pi
    bound = distance_bound(threshold, bits, SCAN_DEVIATIONS)
    return NormalDist(bits * p, math.sqrt(bits * p * (1 - p))).cdf(2 * bits * p - bound)
