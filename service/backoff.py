"""Retry with exponential backoff and jitter: how long to wait before the next attempt. Pure."""

from dataclasses import dataclass
from typing import Final, final


@final
@dataclass(frozen=True, slots=True)
class Backoff:
    """How the delays grow.

    Attributes:
        first_s: the first delay.
        longest_s: the longest delay; later ones stay this long.
        factor: each delay is this many times the one before.
    """

    first_s: float
    longest_s: float
    factor: int


BRISK: Final = Backoff(0.5, 30.0, 2)
"""0.5 s, 1 s, 2 s and so on up to 30 s, for retries that people wait for."""


def again_in_s(failures: int, chance: float, requested_s: float | None = None, pace: Backoff = BRISK) -> float:
    """Return the delay before the next attempt: between half and all of the pace's delay. The caller limits attempts.

    Args:
        failures: failed attempts in a row, from 1.
        chance: a random number from 0 to 1; 1 means no jitter.
        requested_s: the delay that the other side requested (``Retry-After``); it lengthens the delay up to the
            longest, and never shortens it.
        pace: how the delays grow.
    """
    # The exponent is limited first, because a power of a large number is slow.
    delay = min(pace.longest_s, pace.first_s * float(pace.factor) ** min(max(failures, 1) - 1, 16)) * (0.5 + chance / 2)
    return delay if requested_s is None else max(delay, min(requested_s, pace.longest_s))
