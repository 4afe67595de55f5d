"""Time and size limits of connections, so that slow or many clients do not block others.

uvicorn waits without limit for the end of a request's headers. Here they must be complete within `HEADER_TIMEOUT_S` of
the connection, or of their first byte; bodies have their own limit (`volens.service.http.request_middleware`). The
parser (llhttp) has no size limit for headers; `MAX_HEADER_BYTES` is ours. A client that does not read its response for
`RESPONSE_TIMEOUT_S` is disconnected; uvicorn alone would wait without limit.
"""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from volens.service.http.rate_limits import rate_limit_key

HEADER_TIMEOUT_S: Final = 10.0
RESPONSE_TIMEOUT_S: Final = 30.0
MAX_HEADER_BYTES: Final = 64 * 2**10
PER_ADDRESS: Final = 64
"""Maximum number of connections of one address. Behind a proxy all have its address, so the proxy must limit them."""


class TimeoutProtocol(HttpToolsProtocol):
    """One connection. Use `limited`, which sets the limits."""

    header_timeout_s: ClassVar[float] = HEADER_TIMEOUT_S
    per_address: ClassVar[int | None] = PER_ADDRESS
    response_timeout_s: ClassVar[float] = RESPONSE_TIMEOUT_S
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Wait for headers, unless the address has too many connections."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        super().connection_made(transport)
        same = [one for one in self.connections if _rate_limit_key(one) == _rate_limit_key(self)]
        if self.per_address is not None and len(same) > self.per_address:
            transport.abort()
            return
        self._start("headers", self.header_timeout_s)

    def data_received(self, data: bytes) -> None:
        """Process some bytes; those after the end of a response begin the next request."""
        if not self._is_busy():
            self._start("headers", self.header_timeout_s)
            # Only the bytes before this piece count, because a body may come with the last bytes of the headers.
            if self._header_bytes > MAX_HEADER_BYTES:
                self.transport.abort()
                return
            self._header_bytes += len(data)
        super().data_received(data)
        if self._is_busy():
            self._stop("headers")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._stop("headers", "response")
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; what comes now are no headers."""
        self._stop("headers", "response")
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """Let uvicorn's own limit for idle connections begin."""
        self._stop("headers")
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Limit the time for a client that reads its response too slowly."""
        super().pause_writing()
        self._start("response", self.response_timeout_s)

    def resume_writing(self) -> None:
        """Continue, because the client has read some of the response."""
        self._stop("response")
        super().resume_writing()

    def _start(self, timer: str, timeout_s: float) -> None:
        """Abort the connection after a time, unless the timer is stopped before."""
        if timer not in self._timers:
            self._timers[timer] = self.loop.call_later(timeout_s, self.transport.abort)

    def _stop(self, *timers: str) -> None:
        for timer in timers:
            if timer == "headers":
                self._header_bytes = 0
            if timer in self._timers:
                self._timers.pop(timer).cancel()

    def _is_busy(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, although uvicorn types it otherwise
        return cycle is not None and not cycle.response_complete


def limited(header_timeout_s: float, per_address: int | None) -> type[TimeoutProtocol]:
    """Return the protocol with these limits; `per_address` None allows any number of connections."""
    return type(
        "LimitedProtocol", (TimeoutProtocol,), {"header_timeout_s": header_timeout_s, "per_address": per_address}
    )


def _rate_limit_key(connection: Any) -> str:  # noqa: ANN401  protocols of HTTP and of WebSockets have no type in common
    client = getattr(connection, "client", None)
    return rate_limit_key(client[0]) if client else ""
