"""When what failed is tried again: later each time, with jitter, so that many do not come back at once. Pure."""

from dataclasses import dataclass
from typing import Final, final


@final
@dataclass(frozen=True, slots=True)
class Backoff:
    """How pauses grow.

    Attributes:
        first_s: the first.
        longest_s: the longest; from then on they are all so long.
        factor: how many times longer each is than the one before.
    """

    first_s: float
    longest_s: float
    factor: int


BRISK: Final = Backoff(0.5, 30.0, 2)
"""0.5 s, 1 s, 2 s and so on up to 30 s: for what people wait for."""


def again_in_s(failures: int, chance: float, asked_s: float | None = None, pace: Backoff = BRISK) -> float:
    """Return how long to wait: between half and the whole of a pause of the pace. For ever; who gives up says when.

    Args:
        failures: how many times in a row, from 1.
        chance: a random number from 0 to 1; 1 is without jitter.
        asked_s: what the other side asked for; it lengthens a pause, up to the longest, and never shortens one.
        pace: of the pauses.
    """
    # The exponent is bounded first: a power of a large number takes long.
    delay = min(pace.longest_s, pace.first_s * float(pace.factor) ** min(max(failures, 1) - 1, 16)) * (0.5 + chance / 2)
    return delay if asked_s is None else max(delay, min(asked_s, pace.longest_s))
