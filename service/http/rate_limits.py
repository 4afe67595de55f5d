"""How often somebody may ask: a token bucket for each caller, in a bounded table."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, final

MAX_CALLERS: Final = 10_000


def rate_limit_key(host: str) -> str:
    """Return what stands for all addresses of one caller: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((address.packed[:8] + bytes(8), 64)))
    return host


@final
class RateLimiter:
    """Token buckets. For one thread.

    Where there are more callers than `MAX_CALLERS`, who asked longest ago is forgotten, and begins with a full bucket.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        """Allow `per_s` requests a second in the long run, `burst` at once; `clock` is in seconds, never back."""
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Return 0, or in how many seconds there is one in a caller's bucket again. None is taken."""
        left = self._left(caller, self._clock())
        return 0.0 if left >= 1 else (1 - left) / self._per_s

    def take(self, caller: str) -> float:
        """Take one from a caller's bucket; return 0, or in how many seconds there is one again."""
        now = self._clock()
        left = self._left(caller, now)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_s
        self._buckets[caller] = (left if wait else left - 1, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return wait

    def _left(self, caller: str, now: float) -> float:
        left, at = self._buckets.get(caller, (float(self._burst), now))
        return min(float(self._burst), left + (now - at) * self._per_s)
