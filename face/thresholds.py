"""Decision thresholds: the lowest comparison score that counts as a match."""

import math
from dataclasses import dataclass
from typing import Final

_MAX_GALLERY: Final = 10**12


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds of one embedding model: cosine similarity [-1, 1], higher is closer.

    In a larger gallery a stranger is more likely to resemble one of the references, so the threshold for identification
    grows with the logarithm of its size: at a constant false match rate, FPIR would grow in proportion to the size
    (ISO/IEC 19795-1, FPIR and FMR).

    Attributes:
        claim_value: threshold for 1:1.
        small: (gallery size, threshold): measured; also used for every smaller gallery.
        large: (gallery size, threshold): measured; between the two the threshold follows the logarithm of the size.
        cap: beyond `large` the same line is extrapolated up to this value, without a measurement. Above the cap, FPIR
            grows with the gallery: split such a gallery, or use a stronger model.
    """

    claim_value: float
    small: tuple[int, float]
    large: tuple[int, float]
    cap: float

    def __post_init__(self) -> None:
        """Check that thresholds do not fall as the gallery grows.

        Raises:
            ValueError: sizes or thresholds are out of order or out of range.
        """
        sizes_in_order = 1 <= self.small[0] < self.large[0]
        values_in_order = -1 <= self.small[1] <= self.large[1] <= self.cap <= 1
        if not (sizes_in_order and values_in_order and -1 <= self.claim_value <= 1):
            raise ValueError(
                f"got {self}; expected gallery sizes and thresholds in rising order, thresholds within -1..1"
            )

    def is_extrapolated(self, gallery_size: int) -> bool:
        """Return whether the error rate of `identification` was not measured at this gallery size."""
        return gallery_size > self.large[0]

    def identification(self, gallery_size: int) -> float:
        """Return the threshold for searching a gallery (1:N) of so many references; never lower for a larger one.

        Raises:
            ValueError: the size is negative.
        """
        if gallery_size < 0:
            raise ValueError(f"got gallery size {gallery_size}; expected 0 or more")
        (small, low), (large, high) = self.small, self.large
        size = min(max(gallery_size, small), _MAX_GALLERY)
        value = low + (high - low) * math.log(size / small) / math.log(large / small)
        return min(value, self.cap)


SFACE: Final = Thresholds(claim_value=0.45, small=(200, 0.50), large=(500, 0.55), cap=0.70)
"""SFace, cosine similarity. Measured: 0.45 for 1:1; for 1:N 0.50 with 200 references and 0.55 with 500. Extrapolated:
everything above 500; the cap is reached near 7,800 references. OpenCV's own 0.363 accepts 23 % of strangers at 200."""

SFACE_MISSED_PER_100: Final = {200: 16, 500: 31, 1_000: 45}
"""Of 100 attempts of enrolled people, those that SFace misses in a gallery of so many people (FNIR), at the thresholds
above. Computed for scores with mean 0.6 and standard deviation 0.1 (benchmarks/scaling/model.py, docs/scaling.md)."""
