"""Error rates from counts of scores: exact intervals over people, the tail, and the threshold for a wanted rate."""

import numpy as np
import pytest

from volens.identify.error_rates import ErrorRates, rate_over_people
from volens.identify.exact_interval import clopper_pearson
from volens.store.people.score_counts import BINS, ScoreCounts


def test_the_interval_counts_people_and_not_their_pairs() -> None:
    errors = np.array([10, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    rate = rate_over_people(errors, np.full(10, 100), np.full(10, 3))
    low, high = clopper_pearson(1, 10)
    assert (rate.value, rate.with_errors, rate.people) == (0.01, 1, 10)
    assert (rate.low, rate.high) == pytest.approx((low * 10 / 100, high * 10 / 100))


def test_without_any_error_the_upper_end_is_for_a_person_with_one_in_each_look() -> None:
    rate = rate_over_people(np.zeros(10, dtype=np.int64), np.full(10, 300), np.full(10, 3))
    assert (rate.value, rate.low) == (0, 0)
    assert rate.high == pytest.approx(clopper_pearson(0, 10)[1] * 3 / 300)


def site_of(people: int, rng: np.random.Generator, scale: float = 0.05, look_alikes: int = 0) -> ErrorRates:
    """Return the rates of a site whose strangers' scores have an exponential tail: P(score > t) = exp(-t / scale)."""
    counted = []
    for number in range(people):
        counts = ScoreCounts.none()
        counts.add(counts.others, rng.exponential(scale, size=3 * number))
        counts.add(counts.own, rng.normal(0.8, 0.05, size=3))
        if number and number <= look_alikes:
            counts.add(counts.others, np.full(3, 0.72))
        counted.append(counts)
    return ErrorRates(np.array([one.own for one in counted]), np.array([one.others for one in counted]))


def test_the_threshold_for_a_wanted_rate_is_found_beyond_what_was_counted() -> None:
    rng = np.random.default_rng(7)
    rates = [site_of(100, rng) for _ in range(20)]
    true = 0.05 * np.log(100 / 0.001)  # of 100 references, each reached with exp(-t / 0.05)
    found = [one.threshold(0.001, 100) for one in rates]
    assert None not in found
    assert np.mean([one or 0 for one in found]) == pytest.approx(true, abs=0.02)
    assert 0.01 < np.std([one or 0 for one in found]) < 0.06, "100 people are few"


def test_the_intervals_hold_the_true_rates_of_nearly_all_sites() -> None:
    rng = np.random.default_rng(8)
    rates = [site_of(60, rng).fpir(0.40, 60) for _ in range(40)]
    true = 1 - (1 - np.exp(-0.40 / 0.05)) ** 60
    assert sum(one.low <= true <= one.high for one in rates) >= 36
    assert all(one.low <= one.value <= one.high for one in rates)


def test_a_rate_never_rises_with_the_threshold_nor_falls_with_the_gallery() -> None:
    rates = site_of(60, np.random.default_rng(9))
    values = [rates.fpir(at / 100, 60).value for at in range(BINS)]
    assert values == sorted(values, reverse=True)
    assert rates.fpir(0.3, 120).value > rates.fpir(0.3, 60).value
    missed = [rates.fnir(at / 100).value for at in range(BINS)]
    assert missed == sorted(missed)
    assert (missed[0], missed[-1]) == (0, 1)


def test_look_alikes_raise_the_rate_although_the_tail_is_below_them() -> None:
    plain, alike = (site_of(60, np.random.default_rng(10), look_alikes=number) for number in (0, 3))
    assert plain.fpir(0.70, 60).low == 0
    assert alike.fpir(0.70, 60).low > plain.fpir(0.70, 60).value
    assert alike.fpir(0.70, 60).with_errors == 3


def test_no_threshold_reaches_a_rate_if_scores_of_strangers_are_one() -> None:
    counts = ScoreCounts.none()
    counts.add(counts.others, np.ones(9))
    counts.add(counts.own, np.ones(3))
    assert ErrorRates(counts.own[None], counts.others[None]).threshold(0.001, 10) is None


def test_scores_are_counted_in_bins_of_a_hundredth() -> None:
    counts = ScoreCounts.none()
    counts.add(counts.others, np.array([-0.5, 0.004, 0.431, 0.4399, 1.0, 1.0001]))
    assert {place: int(number) for place, number in enumerate(counts.others) if number} == {0: 2, 43: 2, 100: 2}
    assert not counts.own.any()
    assert not ScoreCounts.none()
