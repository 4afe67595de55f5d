"""The clocks of a store: the wall clock, a function so that a test can set the time, and one that no one sets."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from volens.consent.lease_end import SteadyTime

Clock: TypeAlias = Callable[[], datetime]
"""Returns the current time, aware."""

SteadyClock: TypeAlias = Callable[[], SteadyTime]
"""Returns the time since the machine was started, which no one sets."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_GIVEN: Final = "0" * 32


def utc_now() -> datetime:
    """Return the system's time."""
    return datetime.now(UTC)


def system_steady_time() -> SteadyTime:
    """Return the time since the machine was started; it goes on while the machine sleeps, where that is known."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return SteadyTime(_boot_id(), time.monotonic() if boot is None else time.clock_gettime(boot))


def steady_clock_beside(clock: Clock) -> SteadyClock:
    """Return the steady clock that belongs to a wall clock; a clock that the caller gave is taken for one itself."""
    if clock is utc_now:
        return system_steady_time
    return lambda: SteadyTime(_GIVEN, clock().timestamp())


@cache
def _boot_id() -> str:
    """Return the id of this start of the machine; without one, of this process."""
    try:
        return uuid.UUID(_BOOT_ID.read_text(encoding="ascii").strip()).hex
    except (OSError, ValueError):
        return uuid.uuid4().hex
