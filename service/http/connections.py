"""Connections that take long or are many: whoever sends headers by the drop, or opens hundreds, holds nobody else up.

uvicorn waits for the end of a request's headers for ever. Here they must be whole within `HEADER_TIMEOUT_S` of the
connection, or of their first byte; bodies have their own time (`volens.service.http.request_middleware`). The parser
(llhttp) has no limit of its own for headers; `MAX_HEADER_BYTES` is ours. A client that reads nothing of its
answer for `ANSWER_TIMEOUT_S` is disconnected; uvicorn alone would wait for ever.
"""

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from volens.service.http.rate_limits import rate_limit_key

HEADER_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 30.0
MAX_HEADER_BYTES: Final = 64 * 2**10
PER_ADDRESS: Final = 64
"""Connections of one address at a time. Behind a proxy all come from there, so that the proxy has to count."""


class TimeoutProtocol(HttpToolsProtocol):
    """One connection. Use `patient`, which sets the limits."""

    header_timeout_s: ClassVar[float] = HEADER_TIMEOUT_S
    per_address: ClassVar[int | None] = PER_ADDRESS
    answer_timeout_s: ClassVar[float] = ANSWER_TIMEOUT_S
    _unread: asyncio.TimerHandle | None = None
    _late: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Begin to wait for headers, unless there are too many from there."""
        super().connection_made(transport)
        same = [one for one in self.connections if _rate_limit_key(one) == _rate_limit_key(self)]
        if self.per_address is not None and len(same) > self.per_address:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take some bytes; those after a request has been answered begin another."""
        if not self._is_busy():
            self._wait()
            # A body may come with the headers' last bytes: what is looked at is what came before.
            if self._header_bytes > MAX_HEADER_BYTES:
                self.transport.abort()
                return
            self._header_bytes += len(data)
        super().data_received(data)
        if self._is_busy():
            self._in_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._in_time()
        self._is_read()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; what comes now are no headers."""
        self._in_time()
        self._is_read()
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """Let uvicorn's own time for idle connections begin."""
        self._in_time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait for whoever reads an answer too slowly."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.answer_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: some of it was read."""
        self._is_read()
        super().resume_writing()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _is_busy(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn says of its type
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.header_timeout_s, self.transport.abort)

    def _in_time(self) -> None:
        self._header_bytes = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None


def patient(header_timeout_s: float, per_address: int | None) -> type[TimeoutProtocol]:
    """Return the protocol with these limits; None for any number of connections."""
    return type("Patient", (TimeoutProtocol,), {"header_timeout_s": header_timeout_s, "per_address": per_address})


def _rate_limit_key(connection: Any) -> str:  # noqa: ANN401  protocols of HTTP and of WebSockets have no type in common
    client = getattr(connection, "client", None)
    return rate_limit_key(client[0]) if client else ""
