"""Timestamps in one form: aware UTC with whole seconds, written ``2026-11-23T16:00:00Z`` (RFC 3339)."""

import calendar
import re
from datetime import UTC, datetime
from typing import Final

from volens.consent.errors import InputError

_FORM: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


def whole_seconds(moment: datetime) -> datetime:
    """Return an aware time as UTC, truncated to whole seconds.

    Raises:
        ValueError: the time has no time zone; a bug of the caller.
    """
    if moment.tzinfo is None:
        raise ValueError("got a naive time; expected an aware one, as from datetime.now(UTC)")
    return moment.astimezone(UTC).replace(microsecond=0)


def months_later(moment: datetime, months: int) -> datetime:
    """Return the same time of the same day `months` later; the last day of a month that has no such day.

    The law lets a period of months run until the end of that day (Regulation (EEC, Euratom) 1182/71, art. 3) in any
    time zone; the same time of day is never later than that.
    """
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def format_time(moment: datetime) -> str:
    """Return an aware time as text; the order of texts is the order of times."""
    # Not strftime: on Linux its %Y writes the year 999 with three digits.
    return whole_seconds(moment).replace(tzinfo=None).isoformat() + "Z"


def parse_time(text: object) -> datetime:
    """Read a time that `format_time` wrote.

    Raises:
        InputError: the text has another form, or there is no such moment.
    """
    if not isinstance(text, str) or not _FORM.fullmatch(text):
        raise InputError("got a time in another form; expected UTC as 2026-11-23T16:00:00Z")
    try:
        return datetime.fromisoformat(text)  # with Z, aware UTC
    except ValueError:
        raise InputError(f"got {text}, which is no moment in time") from None
