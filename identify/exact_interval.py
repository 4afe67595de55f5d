"""The exact interval of a share of which some cases were seen (Clopper and Pearson 1934). Pure."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

CONFIDENCE: Final = 0.95
_STEPS: Final = 60


def clopper_pearson(found: int, total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact two-sided interval for a share of which `found` of `total` were seen.

    Raises:
        ValueError: not 0 <= found <= total, or total is 0.
    """
    if not 0 <= found <= total or not total:
        raise ValueError(f"got {found} of {total}; expected 0 to total, and a total from 1")
    outside = (1 - confidence) / 2
    low = 0.0 if found == 0 else _solved(lambda share: 1 - _at_most(found - 1, total, share) < outside)
    high = 1.0 if found == total else _solved(lambda share: _at_most(found, total, share) > outside)
    return low, high


def _at_most(found: int, total: int, share: float) -> float:
    """Return how likely at most so many of `total` are found, each with this likelihood (binomial distribution)."""
    ahead = np.arange(found)
    terms = np.concatenate(([0.0], np.log(total - ahead) - np.log(ahead + 1)))
    logs = terms.cumsum() + np.arange(found + 1) * math.log(share) + (total - np.arange(found + 1)) * math.log1p(-share)
    return float(np.exp(logs).sum())


def _solved(is_below: Callable[[float], bool]) -> float:
    """Return the share above which `is_below` is no longer true, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2
