"""Time limits in months: the same day of the month, or its last day."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.consent.times import months_later


@pytest.mark.parametrize(
    ("received", "months", "due"),
    [
        ("2026-03-15T10:00:00", 1, "2026-04-15T10:00:00"),
        ("2026-01-31T10:00:00", 1, "2026-02-28T10:00:00"),
        ("2028-01-31T10:00:00", 1, "2028-02-29T10:00:00"),
        ("2026-12-31T23:59:59", 1, "2027-01-31T23:59:59"),
        ("2026-11-30T00:00:00", 3, "2027-02-28T00:00:00"),
        ("2026-10-31T00:00:00", 1, "2026-11-30T00:00:00"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_the_month(received: str, months: int, due: str) -> None:
    start, end = (datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (received, due))
    assert months_later(start, months) == end


@given(st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)), st.integers(1, 12))  # noqa: DTZ001  the next argument sets the zone
def test_months_are_never_longer_than_the_law_lets_them_be(start: datetime, months: int) -> None:
    end = months_later(start, months)
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == months
    assert end.day == start.day or (end + timedelta(days=1)).day == 1
