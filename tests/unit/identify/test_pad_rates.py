"""Error rates of presentation attack detection, and what they do not allow to claim."""

import pytest

from volens.identify.pad_rates import FEW, Outcome, report_of

PASSED, REFUSED, SILENT = Outcome.PASSED, Outcome.REFUSED, Outcome.NO_RESPONSE


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
