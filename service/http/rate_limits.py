"""Rate limits: a token bucket for each caller, in a table of bounded size."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, final

MAX_CALLERS: Final = 10_000


def rate_limit_key(host: str) -> str:
    """Return the IPv4 address, or the /64 network of an IPv6 address, because one caller can have all of it."""
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

    With more callers than `MAX_CALLERS`, the least recent one is forgotten, and starts again with a full bucket.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        """Allow `per_s` requests a second on average, `burst` at once; `clock` returns seconds and is monotonic."""
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, *, count: bool = True) -> float:
        """Take a token from a caller's bucket; return 0, or the seconds until there is one.

        With `count=False` the token stays in the bucket.
        """
        now = self._clock()
        tokens, at = self._buckets.get(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._per_s
        if count:
            self._buckets[caller] = (tokens if wait else tokens - 1, now)
            self._buckets.move_to_end(caller)
            if len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
        return wait
