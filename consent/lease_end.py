"""When a lease has ended everywhere, counted by the primary on a clock that no one sets (ADR 0081).

A wall clock that is set forward would take leases for ended that doors still hold. So the row of a lease has the
seconds since the start (boot) of the machine that gave it, and the primary compares:

1. On the same machine, since the same start: the seconds that have passed.
2. Elsewhere, or after a restart: the wall clock, less what it was set forward since this process opened the store; and
   not before the machine has run for the whole term, because the lease may have been given just before the restart.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from volens.consent.lease import lasts_everywhere_s

TOLERANCE_S: Final = 2
"""Two clocks in whole seconds differ by less than this without being wrong; the margins of a term are larger."""


@final
@dataclass(frozen=True, slots=True)
class SteadyTime:
    """A time on a clock that no one sets.

    Attributes:
        boot_id: of this start of the machine, 32 hexadecimal digits.
        seconds: since the start.
        ahead_s: by how much the wall clock was set forward since this process opened the store; 0 if it was not.
    """

    boot_id: str
    seconds: float
    ahead_s: float = 0.0


def lease_end(ends_at: datetime, term_seconds: int, given: SteadyTime, now: datetime, steady: SteadyTime) -> datetime:
    """Return when a lease has ended everywhere, on the wall clock as it is now; `ends_at` unless that clock was set.

    Args:
        ends_at: as its row says (`ends_everywhere_at`).
        term_seconds: of the lease.
        given: when it was given.
        now: the wall clock.
        steady: at the same moment.
    """
    whole_s = lasts_everywhere_s(term_seconds)
    if given.boot_id == steady.boot_id:
        # 1.
        left_s = whole_s - (steady.seconds - given.seconds)
    else:
        # 2.
        by_wall_s = (ends_at - now).total_seconds() + steady.ahead_s
        left_s = max(min(by_wall_s, whole_s), whole_s - steady.seconds)
    counted = now + timedelta(seconds=math.ceil(left_s))
    return counted if left_s > 0 and counted > ends_at + timedelta(seconds=TOLERANCE_S) else ends_at
