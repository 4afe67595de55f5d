"""When a message that could not be delivered is tried again. Pure."""

from datetime import datetime, timedelta
from typing import Final

from volens.service.backoff import Backoff, again_in_s

GIVE_UP_AFTER: Final = timedelta(days=3)
LONGEST_DELAY: Final = timedelta(hours=6)
_PACE: Final = Backoff(5.0, LONGEST_DELAY.total_seconds(), 3)


def again_at(
    first_at: datetime, now: datetime, failures: int, chance: float, retry_after: timedelta | None = None
) -> datetime | None:
    """Return when to try again: later and later, with jitter, so that a receiver that returns is not run over.

    5 s, 15 s, 45 s and so on up to 6 h, each between half and the whole of it. A receiver may ask for more time.

    Args:
        first_at: when the message was tried first.
        now: when it failed.
        failures: how many times, from 1.
        chance: a random number from 0 to 1.
        retry_after: what the receiver asked for; at most `LONGEST_DELAY` of it is granted.

    Returns:
        None when `GIVE_UP_AFTER` would be over by then.
    """
    asked_s = None if retry_after is None else retry_after.total_seconds()
    # Whole seconds, as everything in the store, and never the same second again.
    delay_s = max(1.0, again_in_s(failures, chance, asked_s, _PACE))
    at = (now + timedelta(seconds=delay_s)).replace(microsecond=0)
    return at if at <= first_at + GIVE_UP_AFTER else None
