"""When a webhook is tried again, and what an answer means. Pure: times and numbers in, a decision out."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

FIRST_DELAY: Final = timedelta(seconds=5)
GROWTH: Final = 4
LONGEST_DELAY: Final = timedelta(hours=6)
LONGEST_WISH: Final = timedelta(hours=24)
"""As long as that a receiver may ask us to wait."""
GIVE_UP_AFTER: Final = timedelta(days=3)

_MAX_DIGITS: Final = 9
_GONE: Final = 410
_OK: Final = range(200, 300)


class Verdict(Enum):
    """What a receiver's answer means."""

    ACKNOWLEDGED = "acknowledged"
    GONE = "gone"
    AGAIN = "again"


def verdict(status: int) -> Verdict:
    """Read a status: 2xx acknowledges, 410 wants nothing more ever, everything else (redirects too) is tried again."""
    if status in _OK:
        return Verdict.ACKNOWLEDGED
    return Verdict.GONE if status == _GONE else Verdict.AGAIN


def next_attempt(
    created_at: datetime, attempts: int, now: datetime, jitter: float, wish: timedelta | None = None
) -> datetime | None:
    """Return when a message that failed is tried again; None when it is given up.

    The delay is `FIRST_DELAY`, `GROWTH` times as long after each failure, at most `LONGEST_DELAY`; between half and all
    of it is waited, so that a receiver who comes back is not met by everybody at once. The last attempt is
    `GIVE_UP_AFTER` the message was made.

    Args:
        created_at: when the message was made; aware.
        attempts: how often it was tried, 1 or more.
        now: after the attempt; aware.
        jitter: 0 to 1, random.
        wish: how long the receiver asks us to wait; counts up to `LONGEST_WISH`, and never shortens the delay.

    Raises:
        ValueError: a number is out of its range.
    """
    if attempts < 1 or not 0 <= jitter <= 1:
        raise ValueError(f"got {attempts} attempts and a jitter of {jitter}; expected 1 or more, and 0 to 1")
    until = created_at + GIVE_UP_AFTER
    if now >= until:
        return None
    delay = FIRST_DELAY
    for _ in range(1, attempts):
        delay = min(delay * GROWTH, LONGEST_DELAY)
        if delay == LONGEST_DELAY:
            break
    delay *= 0.5 + jitter / 2
    if wish is not None:
        delay = max(delay, min(wish, LONGEST_WISH))
    return min(now + delay, until)


def wish_of(retry_after: str | None, now: datetime) -> timedelta | None:
    """Read ``Retry-After``: seconds, or a date. None where it is neither, or lies in the past."""
    plain = (retry_after or "").strip()
    if plain.isascii() and plain.isdigit():
        return timedelta(seconds=int(plain)) if len(plain) <= _MAX_DIGITS else LONGEST_WISH
    try:
        at = parsedate_to_datetime(plain)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at - now if at > now else None
