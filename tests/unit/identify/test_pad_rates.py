"""Error rates of presentation attack detection: exact intervals, and what they do not allow to claim."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volens.identify.pad_rates import FEW, Outcome, exact_interval, report_of

PASSED, REFUSED, SILENT = Outcome.PASSED, Outcome.REFUSED, Outcome.NO_RESPONSE


@pytest.mark.parametrize(
    ("found", "total", "low", "high"),
    [
        # binom.test of R 4.3; the first is 1 - 0.025 ** (1 / 10).
        (0, 10, 0.0, 0.3084971),
        (1, 10, 0.002528579, 0.4450161),
        (10, 10, 0.6915029, 1.0),
        (3, 60, 0.01043233, 0.1392432),
    ],
)
def test_the_interval_of_a_rate_is_exact(found: int, total: int, low: float, high: float) -> None:
    assert exact_interval(found, total) == pytest.approx((low, high), rel=1e-6)


@settings(max_examples=30)
@given(st.integers(1, 100).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_an_interval_holds_the_rate_and_is_mirrored_for_the_others(counts: tuple[int, int]) -> None:
    found, total = counts
    low, high = exact_interval(found, total)
    assert 0 <= low <= found / total <= high <= 1
    assert exact_interval(total - found, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("found", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_a_share_that_cannot_be_is_no_rate(found: int, total: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to total"):
        exact_interval(found, total)


def test_an_attack_that_passes_and_a_person_who_does_not_are_errors() -> None:
    report = report_of(
        {"print": [REFUSED] * 9 + [SILENT], "video": [PASSED, REFUSED]}, [PASSED] * 17 + [REFUSED] * 2 + [SILENT]
    )
    assert (report.apcer["print"].errors, report.apcer["print"].value, report.apcer["print"].no_response) == (0, 0, 1)
    assert report.apcer["video"].value == 0.5
    assert report.worst == "video"
    assert (report.bpcer.errors, report.bpcer.value, report.bpcer.no_response) == (3, 0.15, 1)
    first, second, third, fourth = report.not_claimed()
    assert first == f"print: 10 presentations are too few to claim an APCER (at least {FEW}); it may be up to 31%"
    assert second.startswith("video: 2 presentations")
    assert third.startswith("20 bona fide presentations are too few to claim a BPCER")
    assert "replayed video or a mask" in fourth


def test_with_enough_presentations_only_the_attacks_not_made_are_left_open() -> None:
    report = report_of({"print": [REFUSED] * FEW}, [PASSED] * FEW)
    assert len(report.not_claimed()) == 1
    assert report.apcer["print"].interval == pytest.approx((0, 1 - 0.025 ** (1 / FEW)))


def test_without_presentations_no_rate_is_stated() -> None:
    report = report_of({}, [])
    assert (report.worst, report.bpcer.value, report.bpcer.interval) == (None, None, None)
    assert ["attacks" in one or "BPCER" in one for one in report.not_claimed()[:2]] == [True, True]
