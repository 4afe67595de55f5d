"""Request middleware: request ids, a time limit for bodies, security headers, and a record of each request."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from volens.service.http.problems import MEDIA_TYPE, problem_response

BODY_TIMEOUT_S: Final = 20.0
MAX_DRAIN_BYTES: Final = 16 * 2**20
DRAIN_BODY_S: Final = 5.0
REQUEST_ID: Final = "X-Request-Id"

_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_TOO_LARGE: Final = 413
_SWITCHING_PROTOCOLS: Final = 101
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@final
@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, after its response.

    Attributes:
        operation: name of the route; ``none`` if there is no such address.
        status: HTTP status; 0 if there was no response.
        seconds: from the end of the headers to the end of the response.
        credential_id: `Principal.caller_id`, under its name in logs; None without a valid credential.
        zone: the caller's only zone; None otherwise.
        faces: number of faces by decision; None if no image was processed.
    """

    request_id: str
    operation: str
    status: int
    seconds: float
    credential_id: str | None
    zone: str | None
    faces: Mapping[str, int] | None = None

    def fields(self) -> dict[str, object]:
        """Return the fields that are logged. `dataclasses.asdict` takes ten times as long.

        Decisions about faces are not logged, because the log has the time of each request.
        """
        found = ((name, getattr(self, name)) for name in self.__slots__ if name != "faces")
        return {name: value for name, value in found if value is not None}


@final
class RequestMiddleware:
    """ASGI middleware, for HTTP and WebSockets.

    A caller's own request id is accepted if it looks like one. Responses are never cached, because they may contain
    decisions about people.
    """

    def __init__(
        self, app: ASGIApp, observe: Callable[[RequestRecord], None], body_timeout_s: float = BODY_TIMEOUT_S
    ) -> None:
        """Wrap an application; `observe` must be fast, `body_timeout_s` counts from the headers."""
        self._observe = observe
        self._app = app
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI defines."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if _ID.fullmatch(sent) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] in _STARTS:
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            elif message["type"] == "websocket.accept":
                status = _SWITCHING_PROTOCOLS
            await send(message)

        try:
            handle = self._http if scope["type"] == "http" else self._app
            await handle(scope, receive, send_and_note_status)
        finally:
            state, route = scope["state"], scope.get("route")
            operation, caller = "none" if route is None else str(route.name), state.get("caller")
            caller_id, zone = (None, None) if caller is None else (caller.caller_id, caller.purpose)
            seconds = round(time.perf_counter() - started, 6)
            self._observe(RequestRecord(request_id, operation, status, seconds, caller_id, zone, state.get("faces")))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = asyncio.get_running_loop().time() + self._body_timeout_s
        complete = timed_out = too_large = False

        async def receive_in_time() -> Message:
            nonlocal complete, timed_out
            if complete:  # no time limit: the application now waits for the client to disconnect
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                timed_out = True
                raise HTTPException(408, headers={"Connection": "close"}) from None
            complete = not message.get("more_body", False)
            return message

        async def send_after_body(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            # A client that waits for "100 Continue" sends no body after a refusal.
            sends_body = scope["method"] in _WITH_BODY and "Expect" not in Headers(scope=scope)
            if is_last and sends_body and not (complete or timed_out):
                # A client that still sends must be able to read the error before the connection closes.
                await send({**message, "more_body": True})
                await _drain_body(receive)
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        async def send_own_error(message: Message) -> None:
            nonlocal too_large
            if too_large:  # the rest of the framework's response, which was replaced
                return
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                too_large = message["status"] == _TOO_LARGE and headers.get("Content-Type") != MEDIA_TYPE
                if too_large:
                    response = problem_response(Request(scope), HTTPException(_TOO_LARGE))
                    await response(scope, receive, send_after_body)
                    return
            await send_after_body(message)

        await self._app(scope, receive_in_time, send_own_error)


async def _drain_body(receive: Receive) -> None:
    """Drain the request body (5 s, 16 MiB at most), so that the client can read the error."""
    left = MAX_DRAIN_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_BODY_S):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
