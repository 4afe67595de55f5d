"""Exact intervals of a share, against known values of R, and their symmetry."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volens.identify.exact_interval import clopper_pearson


@pytest.mark.parametrize(
    ("found", "total", "low", "high"),
    [
        # binom.test of R 4.3; the first is 1 - 0.025 ** (1 / 10).
        (0, 10, 0.0, 0.3084971),
        (1, 10, 0.002528579, 0.4450161),
        (5, 10, 0.1870860, 0.8129140),
        (10, 10, 0.6915029, 1.0),
        (3, 60, 0.01043233, 0.1392432),
        (500, 100_000, 0.004572244, 0.005456841),
    ],
)
def test_the_interval_of_clopper_and_pearson_is_exact(found: int, total: int, low: float, high: float) -> None:
    assert clopper_pearson(found, total) == pytest.approx((low, high), rel=1e-6)


@settings(max_examples=30)
@given(st.integers(1, 100).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_an_interval_holds_the_rate_and_is_mirrored_for_the_others(counts: tuple[int, int]) -> None:
    found, total = counts
    low, high = clopper_pearson(found, total)
    assert 0 <= low <= found / total <= high <= 1
    assert clopper_pearson(total - found, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("found", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_a_share_that_cannot_be_is_refused(found: int, total: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to total"):
        clopper_pearson(found, total)
