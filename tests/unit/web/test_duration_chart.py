"""Charts of durations: quantiles of a histogram, and bars that stay inside the drawing."""

import math

import pytest

from volens.service.http.prometheus_metrics import Durations
from volens.service.web.duration_chart import LABEL_WIDTH, WIDTH, duration_chart

BOUNDS = 14


def durations(**at: int) -> Durations:
    """Return durations with these numbers at these positions of the histogram, such as `b3=2`."""
    counts = [0] * BOUNDS
    for name, number in at.items():
        counts[int(name[1:])] = number
    return Durations("scan", tuple(counts))


@pytest.mark.parametrize(
    ("found", "half_s", "most_s"),
    [
        (durations(b0=1), 0.001, 0.001),
        (durations(b0=50, b4=50), 0.001, 0.025),
        (durations(b0=95, b12=5), 0.001, 0.001),
        (durations(b0=94, b12=6), 0.001, 10.0),
        (durations(b13=1), math.inf, math.inf),
    ],
)
def test_a_quantile_is_the_bound_that_so_many_did_not_exceed(found: Durations, half_s: float, most_s: float) -> None:
    assert (found.quantile_s(0.5), found.quantile_s(0.95)) == (half_s, most_s)


def test_bars_are_inside_the_drawing_and_do_not_overlap() -> None:
    chart = duration_chart([durations(b0=1), durations(b5=9, b13=1), durations(b13=3)])
    for row in chart.rows:
        assert 0 < row.half_width <= row.most_width <= WIDTH - LABEL_WIDTH
    assert len({row.y for row in chart.rows}) == 3
    assert chart.rows[-1].y < chart.height
    assert [x for _, x in chart.ticks] == sorted(x for _, x in chart.ticks)


def test_nothing_measured_is_an_empty_chart() -> None:
    assert duration_chart([]).rows == ()
