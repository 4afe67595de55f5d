"""The time of a store: the machine's clock, which never falls behind the newest entry of the signed audit log.

Terms of consents end by the clock. A clock that is set back would prolong them, but it cannot unsign an entry: each
leaf states when it was written, and the keyring remembers the log.
"""

from datetime import datetime, timedelta
from typing import Final

from volens.consent import UnavailableError, format_time

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far behind the newest entry the clock may be. NTP steps the clock by less than a second in operation, and by its
drift since the last synchronisation after a pause; Kerberos allows the same five minutes (RFC 4120, 1.6 and 5.2.7)."""


def store_time(clock: datetime, newest: datetime | None) -> datetime:
    """Return the later of the clock's time and that of the newest log entry; None if there is no entry.

    Within the tolerance time stands still, so that a term does not become longer by it, however often the clock is set
    back.

    Raises:
        UnavailableError: the clock is more than `CLOCK_TOLERANCE` behind the newest entry.

    Not checked: a clock that is ahead, or one that was set back to a time after the newest entry.
    """
    if newest is None or clock >= newest:
        return clock
    if newest - clock > CLOCK_TOLERANCE:
        raise UnavailableError(
            f"this machine's clock says {format_time(clock)}, but the newest entry of the audit log is of "
            f"{format_time(newest)}; set the clock right, or run 'volens audit correct-time' if it is right now and "
            "was ahead before"
        )
    return newest
