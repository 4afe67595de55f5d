"""When a message that could not be delivered is tried again. Pure."""

from datetime import datetime, timedelta
from typing import Final

GIVE_UP_AFTER: Final = timedelta(days=3)
FIRST_DELAY: Final = timedelta(seconds=5)
LONGEST_DELAY: Final = timedelta(hours=6)
_FACTOR: Final = 3


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
    # The exponent is bounded first: a power of a large number takes long.
    delay = min(LONGEST_DELAY, FIRST_DELAY * _FACTOR ** min(failures - 1, 16)) * (0.5 + chance / 2)
    if retry_after is not None:
        delay = max(delay, min(retry_after, LONGEST_DELAY))
    # Whole seconds, as everything in the store, and never the same second again.
    at = (now + max(delay, timedelta(seconds=1))).replace(microsecond=0)
    return at if at <= first_at + GIVE_UP_AFTER else None
