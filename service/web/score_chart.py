"""Geometry of the charts of scores that were counted at enrollment; the template draws them as SVG, with a table."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from volens.identify.calibration import Calibration
from volens.store.people.score_counts import BINS

WIDTH: Final = 720
HEIGHT: Final = 170
_WIDE: Final = 5
"""Bins of 0.01 in one bar."""
_BARS: Final = (BINS - 1) // _WIDE


@final
@dataclass(frozen=True, slots=True)
class Bar:
    """The shares of scores from `score` on: of people's own photos, and with other people. The rest is geometry."""

    score: float
    own: float
    others: float
    x: int
    own_height: int
    others_height: int


@final
@dataclass(frozen=True, slots=True)
class ScoreChart:
    """The chart of one zone; `threshold_x` is where its threshold lies. Of too few people it has no bars."""

    zone: str
    people: int
    threshold: float
    threshold_x: int
    bars: tuple[Bar, ...]
    bar_width: int = WIDTH // _BARS
    width: int = WIDTH
    height: int = HEIGHT


def score_chart(found: Calibration) -> ScoreChart:
    """Return the chart of a zone; without bars if fewer people were counted than a calibration needs."""
    own, others = (_joined(shares) for shares in found.rates.score_shares())
    highest = max(own.max(), others.max(), 1e-9)
    threshold = found.now.threshold
    bars = [
        Bar(
            score=number * _WIDE / (BINS - 1),
            own=float(own[number]),
            others=float(others[number]),
            x=round(number * WIDTH / _BARS),
            own_height=round(own[number] / highest * HEIGHT),
            others_height=round(others[number] / highest * HEIGHT),
        )
        for number in range(_BARS)
    ]
    is_shown = found.enough
    return ScoreChart(
        found.zone.purpose, found.people, threshold, round(threshold * WIDTH), tuple(bars) if is_shown else ()
    )


def _joined(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares by bar; the last bin, of scores from 1 on, is in the last bar."""
    joined: NDArray[np.float64] = shares[:-1].reshape(_BARS, _WIDE).sum(axis=1)
    joined[-1] += shares[-1]
    return joined
