"""Timestamps: one accepted form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from volens.consent import InputError, format_time, parse_time
from volens.consent.times import whole_seconds

OTHER_FORMS: dict[str, object] = {
    "no zone": "2099-03-14T09:26:53",
    "an offset": "2099-03-14T09:26:53+00:00",
    "a space for T": "2099-03-14 09:26:53Z",
    "small letters": "2099-03-14t09:26:53z",
    "fractions": "2099-03-14T09:26:53.5Z",
    "a newline": "2099-03-14T09:26:53Z\n",
    "a two-digit year": "99-03-14T09:26:53Z",
    "digits of another script": "\N{ARABIC-INDIC DIGIT TWO}099-03-14T09:26:53Z",
    "a number": 4076645213,
    "nothing": None,
    "bytes": b"2099-03-14T09:26:53Z",
}

NO_MOMENT = ["2099-02-29T00:00:00Z", "2099-13-01T00:00:00Z", "2099-01-01T24:00:00Z", "0000-01-01T00:00:00Z"]


@pytest.mark.parametrize("case", OTHER_FORMS)
def test_a_time_is_refused_with(case: str) -> None:
    with pytest.raises(InputError, match="expected UTC as"):
        parse_time(OTHER_FORMS[case])


@pytest.mark.parametrize("text", NO_MOMENT)
def test_a_time_is_refused_that_is_no_moment(text: str) -> None:
    with pytest.raises(InputError, match="no moment in time"):
        parse_time(text)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2099, 3, 14, 9, 26, 53, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2096, 2, 29, tzinfo=UTC),
    ],
)
def test_a_time_survives_writing_and_reading(moment: datetime) -> None:
    text = format_time(moment)
    assert len(text) == len("2099-03-14T09:26:53Z")
    assert parse_time(text) == moment
    assert parse_time(text).tzinfo is UTC


def test_the_order_of_texts_is_the_order_of_times() -> None:
    moments = [datetime(year, 6, 1, tzinfo=UTC) for year in (1, 999, 1000, 1999, 2099, 9999)]
    assert sorted(map(format_time, moments)) == [format_time(moment) for moment in moments]


def test_a_time_is_cut_to_whole_seconds_and_turned_to_utc() -> None:
    tokyo = datetime(2099, 1, 1, 8, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=9)))
    assert whole_seconds(tokyo) == datetime(2098, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert format_time(tokyo) == "2098-12-31T23:59:59Z"


def test_a_naive_time_is_a_callers_bug() -> None:
    with pytest.raises(ValueError, match="got a naive time; expected an aware one"):
        format_time(datetime(2099, 1, 1))  # noqa: DTZ001  the naive time is what is tested
