"""Thresholds: from which comparison score on two faces count as the same person's."""

import math
from dataclasses import dataclass
from typing import Final

_MAX_GALLERY: Final = 10**12


@dataclass(frozen=True, slots=True)
class Threshold:
    """One decision limit.

    Attributes:
        value: lowest comparison score accepted; cosine similarity [-1, 1], higher is closer.
        gallery_size: number of references compared against; 1 for a claim (1:1).
        extrapolated: True if nobody measured the error rate at this gallery size.
    """

    value: float
    gallery_size: int
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of one embedding model.

    A larger gallery gives a stranger more chances to resemble someone, so the limit for identification grows with the
    logarithm of its size: at a constant false match rate FPIR would grow in proportion (ISO/IEC 19795-1, FPIR and FMR).

    Attributes:
        claim_value: limit for 1:1.
        small: (gallery size, limit): measured; holds for every smaller gallery too.
        large: (gallery size, limit): measured; between the two the limit follows the logarithm of the size.
        cap: beyond `large` the same line is continued, which nobody measured, up to this value. Past the cap FPIR grows
            with the gallery: split such a gallery, or use a stronger model.
    """

    claim_value: float
    small: tuple[int, float]
    large: tuple[int, float]
    cap: float

    def __post_init__(self) -> None:
        """Refuse limits that would fall as the gallery grows.

        Raises:
            ValueError: sizes or limits are out of order or out of range.
        """
        sizes_in_order = 1 <= self.small[0] < self.large[0]
        values_in_order = -1 <= self.small[1] <= self.large[1] <= self.cap <= 1
        if not (sizes_in_order and values_in_order and -1 <= self.claim_value <= 1):
            raise ValueError(f"got {self}; expected gallery sizes and limits in rising order, limits within -1..1")

    @property
    def claim(self) -> Threshold:
        """The limit for confirming a claim (1:1)."""
        return Threshold(self.claim_value, 1, extrapolated=False)

    def identification(self, gallery_size: int) -> Threshold:
        """Return the limit for searching a gallery (1:N); never lower for a larger gallery.

        Args:
            gallery_size: references in the gallery of this purpose, from 0.

        Raises:
            ValueError: the size is negative.
        """
        if gallery_size < 0:
            raise ValueError(f"got gallery size {gallery_size}; expected 0 or more")
        (small, low), (large, high) = self.small, self.large
        size = min(max(gallery_size, small), _MAX_GALLERY)
        value = low + (high - low) * math.log(size / small) / math.log(large / small)
        return Threshold(min(value, self.cap), gallery_size, extrapolated=gallery_size > large)


SFACE: Final = Thresholds(claim_value=0.45, small=(200, 0.50), large=(500, 0.55), cap=0.70)
"""SFace, cosine similarity. Measured: 0.45 for 1:1; for 1:N 0.50 with 200 references and 0.55 with 500. Extrapolated:
everything above 500; the cap is reached near 7,800 references. OpenCV's own 0.363 accepts 23 % of strangers at 200."""
