"""The end of a lease by a clock that no one sets."""

from datetime import UTC, datetime, timedelta

import pytest

from volens.consent.lease import ends_everywhere_at, lasts_everywhere_s
from volens.consent.lease_end import SteadyTime, lease_end

GIVEN_AT = datetime(2099, 3, 1, 12, 0, 0, tzinfo=UTC)
TERM = 60
WHOLE_S = lasts_everywhere_s(TERM)
ENDS_AT = ends_everywhere_at(GIVEN_AT, TERM)
SAME, OTHER = "a" * 32, "b" * 32


def left_s(passed_s: float, jumped_s: float, boot: str = SAME, *, up_s: float = 5_000.0, ahead_s: float = 0.0) -> float:
    """Return how long it still counts, `passed_s` after it was given, with a wall clock set forward meanwhile."""
    now = GIVEN_AT + timedelta(seconds=passed_s + jumped_s)
    steady = SteadyTime(boot, up_s + passed_s, ahead_s)
    return (lease_end(ENDS_AT, TERM, SteadyTime(SAME, 5_000.0), now, steady) - now).total_seconds()


@pytest.mark.parametrize("passed_s", [0, 1, 30, WHOLE_S - 1, WHOLE_S, WHOLE_S + 500])
def test_without_a_jump_a_lease_ends_as_its_row_says(passed_s: float) -> None:
    assert left_s(passed_s, 0) == WHOLE_S - passed_s
    assert left_s(passed_s, 0, OTHER) == WHOLE_S - passed_s


@pytest.mark.parametrize("jumped_s", [5, 60, 3_600, 400 * 86_400])
def test_a_clock_that_is_set_forward_ends_no_lease_earlier(jumped_s: float) -> None:
    for passed_s in (0, 10, WHOLE_S - 1):
        assert left_s(passed_s, jumped_s) == WHOLE_S - passed_s
    assert left_s(WHOLE_S, jumped_s) <= 0


def test_a_clock_that_is_set_back_lets_a_lease_count_for_longer() -> None:
    assert left_s(10, -5) == WHOLE_S - 5


def test_another_machine_subtracts_the_jump_that_it_saw() -> None:
    assert left_s(10, 3_600, OTHER, ahead_s=3_600) == WHOLE_S - 10
    # Given after the jump by a machine without it: never longer than a whole term.
    assert left_s(0, 0, OTHER, ahead_s=3_600) == WHOLE_S


def test_after_a_restart_a_lease_counts_until_the_machine_has_run_for_a_term() -> None:
    assert left_s(0, 3_600, OTHER, up_s=0) == WHOLE_S
    assert left_s(20, 3_600, OTHER, up_s=0) == WHOLE_S - 20
    assert left_s(WHOLE_S, 3_600, OTHER, up_s=0) <= 0
