"""Decision thresholds: the lowest comparison score that counts as a match, for the error rate that a zone aims at."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from volens.consent.errors import InputError
from volens.consent.zone import FpirTarget


@final
@dataclass(frozen=True, slots=True)
class ThresholdCurve:
    """The threshold of a search at one false positive identification rate: ``intercept + slope * ln(gallery size)``.

    In a larger gallery a stranger is more likely to resemble one of the references: at a constant false match rate,
    FPIR grows in proportion to the size (ISO/IEC 19795-1, FPIR and FMR). Scores of strangers have a tail that falls
    about exponentially, so a constant FPIR needs a threshold that rises with the logarithm of the size.

    Attributes:
        intercept: the threshold at size 1, a cosine similarity from -1 to 1.
        slope: how much it rises when the size grows e times, 0 or more.
        smallest: smaller galleries have the threshold of this size (the floor).
        largest: larger galleries have the threshold of this size (the cap): above it FPIR grows with the gallery, so
            split such a gallery, or use a stronger model.
    """

    intercept: float
    slope: float
    smallest: int = 1
    largest: int = 10_000

    def __post_init__(self) -> None:
        """Check the order of the sizes, and that the threshold is a cosine similarity that does not fall.

        Raises:
            ValueError: one of them is out of order or out of range.
        """
        in_order = 1 <= self.smallest <= self.largest and self.slope >= 0
        if not (in_order and -1 <= self.at(self.smallest) <= self.at(self.largest) <= 1):
            raise ValueError(
                f"got {self}; expected sizes from 1 in rising order, a slope of 0 or more, and thresholds within -1..1"
            )

    def at(self, gallery_size: int) -> float:
        """Return the threshold for a gallery of so many references; never lower for a larger one.

        Raises:
            ValueError: the size is negative.
        """
        if gallery_size < 0:
            raise ValueError(f"got gallery size {gallery_size}; expected 0 or more")
        return self.intercept + self.slope * math.log(min(max(gallery_size, self.smallest), self.largest))


@final
@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds of one embedding model: cosine similarity [-1, 1], higher is closer.

    Attributes:
        claim_value: threshold for 1:1.
        curves: for 1:N, by the rate of strangers accepted in one look (FPIR). A model need not have all of them.
        measured_up_to: the largest gallery in which the curves were measured.
    """

    claim_value: float
    curves: Mapping[FpirTarget, ThresholdCurve]
    measured_up_to: int

    def __post_init__(self) -> None:
        """Check that the thresholds are cosine similarities.

        Raises:
            ValueError: one of them is not, or no gallery was measured.
        """
        if not (-1 <= self.claim_value <= 1 and self.measured_up_to >= 1 and self.curves):
            raise ValueError(f"got {self}; expected a 1:1 threshold within -1..1, one curve or more, and a size from 1")

    def identification(self, gallery_size: int, target: FpirTarget = FpirTarget.ORDINARY) -> float:
        """Return the threshold for searching a gallery (1:N) of so many references; never lower for a larger one.

        Raises:
            InputError: the model has no threshold for this target.
            ValueError: the size is negative.
        """
        curve = self.curves.get(target)
        if curve is None:
            known = ", ".join(self.curves)
            raise InputError(
                f"the zone aims at {target} of strangers accepted, and this model states thresholds for {known} only; "
                f"pass --pack-search-strict, or change the zone: volens zone change --fpir {next(iter(self.curves))}"
            )
        return curve.at(gallery_size)

    def duplicate(self, gallery_size: int) -> float:
        """Return the threshold from which the mean of several photos shows a person who is enrolled already.

        It is the strictest that the model has: a mean resembles its own person more than one photo does, and a person
        who is refused for resembling another one cannot be enrolled.

        Raises:
            ValueError: the size is negative.
        """
        return max(curve.at(gallery_size) for curve in self.curves.values())


SFACE: Final = Thresholds(
    claim_value=0.45,
    curves={
        FpirTarget.ORDINARY: ThresholdCurve(0.383, 0.0213, smallest=10),
        FpirTarget.STRICT: ThresholdCurve(0.385, 0.0319, smallest=10),
    },
    measured_up_to=900,
)
"""SFace, cosine similarity. Where the numbers come from, and what they do not show: docs/accuracy.md, docs/adr/0067.

1:1: at 0.45 none of 3,000 pairs of different people matched (FMR below 0.13 % at 95 % confidence), and 5.9 % of 3,000
pairs of the same person did not (FNMR), one photo against one.

1:N, fitted on random galleries of 10 to 900 people with three photos each: floor 0.432 and cap 0.579 at 0.1 %, floor
0.458 and cap 0.679 at 0.01 %. The second rests on few strangers. OpenCV's own 0.363 accepts 23 % of strangers at 200.
"""

SFACE_MISSED_PER_100: Final = {200: 15, 500: 20, 1_000: 24}
"""Of 100 attempts of enrolled people, those that SFace misses in a gallery of so many people (FNIR), at the thresholds
for 0.1 %. Computed for scores with mean 0.6, standard deviation 0.1: benchmarks/scaling/model.py, docs/scaling.md."""
