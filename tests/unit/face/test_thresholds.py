"""Thresholds: measured points are kept, and a larger gallery never gets a lower threshold."""

import math

import pytest

from volens.face import Thresholds
from volens.face.thresholds import SFACE


def test_sface_keeps_its_measured_points() -> None:
    assert SFACE.claim_value == 0.45
    for size, value in [(0, 0.50), (1, 0.50), (200, 0.50), (500, 0.55)]:
        assert SFACE.identification(size) == pytest.approx(value)
        assert not SFACE.is_extrapolated(size)


def test_the_threshold_follows_the_logarithm_of_the_gallery_size() -> None:
    halfway = round(math.sqrt(200 * 500))
    assert SFACE.identification(halfway) == pytest.approx(0.525, abs=1e-4)
    assert SFACE.identification(1250) == pytest.approx(0.60)  # 500 * 500 / 200
    assert SFACE.is_extrapolated(1250)


def test_the_threshold_never_falls_and_never_exceeds_the_cap() -> None:
    values = [SFACE.identification(size) for size in [*range(3000), *(10**n for n in range(4, 40))]]
    assert values == sorted(values)
    assert values[-1] == SFACE.cap == 0.70


def test_a_negative_gallery_size_is_a_value_error() -> None:
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
def test_inconsistent_thresholds_are_refused(
    claim: float, small: tuple[int, float], large: tuple[int, float], cap: float
) -> None:
    with pytest.raises(ValueError, match="rising order"):
        Thresholds(claim_value=claim, small=small, large=large, cap=cap)
