"""Thresholds: measured points are kept, and a larger gallery never gets a lower limit."""

import math

import pytest

from volens.face import Thresholds
from volens.face.thresholds import SFACE


def test_sface_keeps_its_measured_points() -> None:
    assert SFACE.claim.value == 0.45
    assert SFACE.claim.gallery_size == 1
    for size, value in [(0, 0.50), (1, 0.50), (200, 0.50), (500, 0.55)]:
        threshold = SFACE.identification(size)
        assert threshold.value == pytest.approx(value)
        assert threshold.gallery_size == size
        assert not threshold.extrapolated


def test_between_and_beyond_the_points_the_limit_follows_the_logarithm() -> None:
    halfway = round(math.sqrt(200 * 500))
    assert SFACE.identification(halfway).value == pytest.approx(0.525, abs=1e-4)
    beyond = SFACE.identification(1250)  # 500 * 500 / 200
    assert beyond.value == pytest.approx(0.60)
    assert beyond.extrapolated


def test_the_limit_never_falls_and_never_exceeds_the_cap() -> None:
    values = [SFACE.identification(size).value for size in [*range(3000), *(10**n for n in range(4, 40))]]
    assert values == sorted(values)
    assert values[-1] == SFACE.cap == 0.70


def test_a_negative_size_is_a_callers_bug() -> None:
    with pytest.raises(ValueError, match="gallery size -1"):
        SFACE.identification(-1)


@pytest.mark.parametrize(
    ("claim", "small", "large", "cap"),
    [
        pytest.param(0.4, (500, 0.5), (200, 0.6), 0.7, id="sizes the wrong way round"),
        pytest.param(0.4, (200, 0.6), (500, 0.5), 0.7, id="limits that fall"),
        pytest.param(0.4, (200, 0.5), (500, 0.6), 0.55, id="a cap below a measured point"),
        pytest.param(0.4, (0, 0.5), (500, 0.6), 0.7, id="a size without a logarithm"),
        pytest.param(1.5, (200, 0.5), (500, 0.6), 0.7, id="no cosine"),
        pytest.param(math.nan, (200, 0.5), (500, 0.6), 0.7, id="no number"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    claim: float, small: tuple[int, float], large: tuple[int, float], cap: float
) -> None:
    with pytest.raises(ValueError, match="rising order"):
        Thresholds(claim_value=claim, small=small, large=large, cap=cap)
