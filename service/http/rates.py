"""How often somebody may ask: a token bucket for each caller, in a bounded table."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, final

MAX_CALLERS: Final = 10_000


@final
class Rates:
    """Token buckets. For one thread.

    Where there are more callers than `MAX_CALLERS`, who asked longest ago is forgotten, and begins with a full bucket.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        """Allow `per_s` requests a second in the long run, `burst` at once; `clock` is in seconds, never back."""
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take one from a caller's bucket; return 0, or in how many seconds there is one again."""
        now = self._clock()
        left, at = self._buckets.pop(caller, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._per_s)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_s
        self._buckets[caller] = (left if wait else left - 1, now)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return wait
