"""Retry with backoff for webhooks: when a failed message is sent again. Pure."""

from datetime import datetime, timedelta
from typing import Final

from volens.service.backoff import Backoff, again_in_s

GIVE_UP_AFTER: Final = timedelta(days=3)
LONGEST_DELAY: Final = timedelta(hours=6)
_BACKOFF: Final = Backoff(5.0, LONGEST_DELAY.total_seconds(), 3)


def next_attempt_at(
    first_at: datetime, now: datetime, failures: int, chance: float, retry_after: timedelta | None = None
) -> datetime | None:
    """Return the time of the next attempt; delays grow and have jitter, so that retries do not overload the receiver.

    5 s, 15 s, 45 s and so on up to 6 h, each between half and all of it. A receiver may request a longer delay.

    Args:
        first_at: time of the first attempt.
        now: time of the failure.
        failures: failed attempts, from 1.
        chance: a random number from 0 to 1.
        retry_after: the delay that the receiver requested; it is limited to `LONGEST_DELAY`.

    Returns:
        None if it would be later than `GIVE_UP_AFTER`.
    """
    requested_s = None if retry_after is None else retry_after.total_seconds()
    # Whole seconds, as everywhere in the store, and at least one second later.
    delay_s = max(1.0, again_in_s(failures, chance, requested_s, _BACKOFF))
    at = (now + timedelta(seconds=delay_s)).replace(microsecond=0)
    return at if at <= first_at + GIVE_UP_AFTER else None
