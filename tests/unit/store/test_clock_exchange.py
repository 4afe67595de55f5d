"""Clock offset: the four times of a heartbeat bound how far a door's clock is off, whatever the network does."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.consent import InputError
from volens.store.programs.clock_exchange import (
    LONGEST_MS,
    MAX_MS,
    ClockExchange,
    ClockOffset,
    measure_offset,
)

BEGIN = 1_795_000_000_000


@given(
    ahead=st.integers(-(10**9), 10**9),
    there=st.integers(0, 20_000),
    work=st.integers(0, 9),
    back=st.integers(0, 20_000),
)
def test_the_true_offset_is_within_the_uncertainty_of_the_measured_one(
    ahead: int, there: int, work: int, back: int
) -> None:
    arrived, answered = BEGIN + there, BEGIN + there + work
    measured = ClockExchange(BEGIN + ahead, arrived, answered, answered + back + ahead).offset()
    assert abs(measured.offset_ms - ahead) <= measured.uncertainty_ms <= (there + back) // 2 + 2


@pytest.mark.parametrize(
    ("offset", "least"),
    [(ClockOffset(6000, 900), 5100), (ClockOffset(-6000, 900), 5100), (ClockOffset(300, 900), 0)],
)
def test_clocks_differ_at_least_by_the_offset_without_its_uncertainty(offset: ClockOffset, least: int) -> None:
    assert offset.least_ms == least


@pytest.mark.parametrize(
    "times",
    [
        (-1, 1, 1, 1),
        (BEGIN, BEGIN, BEGIN, MAX_MS + 1),
        (BEGIN + 1, BEGIN, BEGIN, BEGIN),
        (BEGIN, BEGIN + 1, BEGIN, BEGIN + 9),
        (BEGIN, BEGIN, BEGIN + 10, BEGIN + 9),
        (BEGIN, BEGIN, BEGIN, BEGIN + LONGEST_MS + 1),
    ],
)
def test_times_that_cannot_be_of_one_exchange_are_refused(times: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="of a heartbeat that"):
        ClockExchange(*times)


def test_a_node_measures_its_clock_by_one_question_and_a_monotonic_clock() -> None:
    ticks = iter((7.0, 7.25, 1.0, 61.001))

    def measure() -> ClockOffset | None:
        at = datetime.fromtimestamp((BEGIN + 9_000) / 1000, UTC)
        return measure_offset(lambda: at, lambda: next(ticks), lambda: BEGIN + 125)

    assert measure() == ClockOffset(9_000, 126)
    assert measure() is None, "the answer took more than a minute"
