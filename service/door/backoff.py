"""When something that broke off is tried again. Pure."""

from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0


def again_in_s(failures: int, chance: float, asked_s: float | None = None) -> float:
    """Return how long to wait: longer and longer, with jitter, so that many doors do not come back at once. For ever.

    0.5 s, 1 s, 2 s and so on up to 30 s, each between half and the whole of it.

    Args:
        failures: how many times in a row, from 1.
        chance: a random number from 0 to 1.
        asked_s: what the other side asked for; it lengthens a pause, up to 30 s, and never shortens one.
    """
    # The exponent is bounded first: a power of a large number takes long.
    delay = min(LONGEST_S, FIRST_S * 2.0 ** min(max(failures, 1) - 1, 16)) * (0.5 + chance / 2)
    return delay if asked_s is None else max(delay, min(asked_s, LONGEST_S))
