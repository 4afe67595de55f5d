"""Error rates of a site, and their intervals, from counts of comparison scores. Pure statistics.

The counts are those of `volens.store.people.score_counts`: bins of 0.01, by person. Nothing else of a person is used.

* Pairs and photos of one person depend on each other, so an interval is over people: of n people, k have an error; the
  exact interval of Clopper and Pearson for k of n, times the errors of a person who has any.
* Above the highest scores that were counted, the share of pairs is continued with an exponential tail (the generalised
  Pareto tail of shape 0). Cosines end at 1, so such a tail errs to the safe side, but for relatives and look-alikes;
  where these were counted, the count is higher and is taken instead.

Sources: ISO/IEC 19795-1 (FPIR, FNIR); Pickands 1975 (tails of excesses).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from volens.identify.exact_interval import clopper_pearson
from volens.store.people.score_counts import BINS

_TAIL_PEOPLE: Final = 0.5
"""The tail begins where half of the people still have a pair: enough to measure its slope, and high enough."""


@final
@dataclass(frozen=True, slots=True)
class Rate:
    """A share, with the ends of its 95 % interval over people, and how many people of how many have an error."""

    value: float
    low: float
    high: float
    with_errors: int
    people: int

    def transformed(self, change: Callable[[float], float]) -> "Rate":
        """Return the rate after a rising function."""
        return Rate(change(self.value), change(self.low), change(self.high), self.with_errors, self.people)


def rate_over_people(errors: NDArray[np.int64], trials: NDArray[np.int64], looks: NDArray[np.int64]) -> Rate:
    """Return errors / trials, with an interval over people; arrays (n,) by person, each with a trial or more.

    `looks` are the photos of each person: if no one has an error, the upper end is for a person who has one in each.

    Raises:
        ValueError: there is no one.
    """
    people, found = len(errors), int(np.count_nonzero(errors))
    low, high = clopper_pearson(found, people)
    of_one = float(errors.sum()) / found if found else float(looks.mean())
    scale = of_one / float(trials.mean())
    return Rate(float(errors.sum() / trials.sum()), min(1.0, low * scale), min(1.0, high * scale), found, people)


@final
class ErrorRates:
    """What the counts of a zone say about its errors at a threshold, which is rounded to 0.01.

    Attributes:
        compared: how many people were compared with other people.
        self_compared: how many were compared with themselves.
    """

    def __init__(self, own: NDArray[np.uint32], others: NDArray[np.uint32]) -> None:
        """Take counts, uint32 (people, BINS) each, or of no one."""
        genuine, pairs = (one.reshape(-1, BINS).astype(np.int64) for one in (own, others))
        looks, has_pairs = genuine.sum(axis=1), pairs.any(axis=1)
        self._own = genuine[looks > 0]
        self._looks = np.maximum(1, looks[has_pairs])  # a person enrolled with one photo has no own score
        self._reaching = pairs[has_pairs][:, ::-1].cumsum(axis=1)[:, ::-1]
        self.compared, self.self_compared = len(self._reaching), len(self._own)
        self._tail = self._fitted_tail()

    def fpir(self, threshold: float, gallery_size: int) -> Rate:
        """Return the share of strangers' looks that reach a threshold with one of so many references.

        Comparisons count as independent, which errs to the safe side.
        """
        at = _bin(threshold)
        pairs = rate_over_people(self._reaching[:, at], self._reaching[:, 0], self._looks)
        value = self._pair_rate(at)
        pairs = Rate(value, pairs.low, max(pairs.high, value), pairs.with_errors, pairs.people)
        return pairs.transformed(lambda share: _with_one_of(share, gallery_size))

    def fnir(self, threshold: float) -> Rate:
        """Return the share of looks of enrolled people that do not reach a threshold with their own reference."""
        missed, looks = self._own[:, : _bin(threshold)].sum(axis=1), self._own.sum(axis=1)
        return rate_over_people(missed, looks, looks)

    def threshold(self, fpir: float, gallery_size: int) -> float | None:
        """Return the lowest threshold, in steps of 0.01, at which no more strangers are accepted; None if none is."""
        for at in range(BINS):
            if _with_one_of(self._pair_rate(at), gallery_size) <= fpir:
                return at / (BINS - 1)
        return None

    def score_shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the shares of scores in each bin, (BINS,) each: of own photos, and with other people's references."""
        own, reaching = self._own.sum(axis=0), self._reaching.sum(axis=0)
        others = reaching - np.append(reaching[1:], 0)
        return own / max(1, own.sum()), others / max(1, others.sum())

    def _pair_rate(self, at: int) -> float:
        counted = float(self._reaching[:, at].sum() / self._reaching[:, 0].sum())
        start, share, ratio = self._tail
        return max(counted, share * ratio ** (at - start)) if at > start else counted

    def _fitted_tail(self) -> tuple[int, float, float]:
        """Return the bin in which the tail begins, the share of pairs from there on, and its fall from bin to bin."""
        if not self.compared:
            return BINS - 1, 0.0, 0.0
        totals, people = self._reaching.sum(axis=0), np.count_nonzero(self._reaching, axis=0)
        start = int(np.flatnonzero(people >= max(1, _TAIL_PEOPLE * self.compared))[-1])
        # The maximum-likelihood estimate for excesses in whole bins: the mean excess m gives the ratio m / (1 + m).
        excess = float(totals[start + 1 :].sum() / totals[start])
        return start, float(totals[start] / totals[0]), excess / (1 + excess)


def _bin(threshold: float) -> int:
    return min(max(round(threshold * (BINS - 1)), 0), BINS - 1)


def _with_one_of(share: float, gallery_size: int) -> float:
    """Return how likely one of so many comparisons succeeds, each with this likelihood."""
    return -math.expm1(gallery_size * math.log1p(-share)) if share < 1 else float(gallery_size > 0)
