"""Geometry of the charts of durations; the template draws them as SVG, and writes the same numbers as a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from volens.service.http.prometheus_metrics import Durations

LABEL_WIDTH: Final = 190
"""In units of the drawing, of which it is `WIDTH` wide."""
WIDTH: Final = 720
ROW_HEIGHT: Final = 44
_PLOT_WIDTH: Final = WIDTH - LABEL_WIDTH - 20
_FIRST_S: Final = 0.001
_LAST_S: Final = 10.0
_TICKS_S: Final = (0.001, 0.01, 0.1, 1.0, 10.0)


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One stage: half of its runs took at most `half_s` seconds, 95 of 100 at most `most_s`. The rest is geometry."""

    of: str
    total: int
    half_s: float
    most_s: float
    y: int
    half_width: int
    most_width: int


@final
@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with a logarithmic axis from 1 ms to 10 s; `ticks` are seconds and positions."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, int], ...]
    left: int
    width: int
    height: int


def duration_chart(durations: Sequence[Durations]) -> Chart:
    """Return the chart of some durations, in their order."""
    rows = []
    for number, one in enumerate(durations):
        half_s, most_s = one.quantile_s(0.5), one.quantile_s(0.95)
        rows.append(Row(one.of, one.total, half_s, most_s, number * ROW_HEIGHT, _width(half_s), _width(most_s)))
    ticks = tuple((at_s, LABEL_WIDTH + _width(at_s)) for at_s in _TICKS_S)
    return Chart(tuple(rows), ticks, LABEL_WIDTH, WIDTH, len(rows) * ROW_HEIGHT + 26)


def _width(seconds: float) -> int:
    share = math.log(min(max(seconds, _FIRST_S), _LAST_S) / _FIRST_S) / math.log(_LAST_S / _FIRST_S)
    return max(2, round(share * _PLOT_WIDTH))
