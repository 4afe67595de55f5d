"""The clock of a store: a function, so that a test can set the time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Returns the current time, aware."""


def utc_now() -> datetime:
    """Return the system's time."""
    return datetime.now(UTC)
