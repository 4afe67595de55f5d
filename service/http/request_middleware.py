"""What every request passes first: it gets an id, a time in which its body must be here, and safe headers back.

A WebSocket gets the id, and is told of when it is over.
"""

import asyncio
import re
import secrets
import time
from contextlib import suppress
from typing import Final, final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from volens.service.http.problems import MEDIA_TYPE, of_status
from volens.service.http.request_observer import Observer, RequestRecord
from volens.service.principal import Principal

BODY_TIMEOUT_S: Final = 20.0
MAX_UNREAD_BYTES: Final = 16 * 2**20
UNREAD_S: Final = 5.0
REQUEST_ID: Final = "X-Request-Id"

_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
_WITH_A_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_TOO_LARGE: Final = 413
_SWITCHED: Final = 101
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@final
class RequestMiddleware:
    """ASGI middleware, for HTTP and WebSockets.

    A caller's own request id is taken over if it looks like one. Answers may hold decisions about people, so no cache
    may keep them.
    """

    def __init__(self, app: ASGIApp, observe: Observer, body_timeout_s: float = BODY_TIMEOUT_S) -> None:
        """Stand before an application, and tell of every request.

        Args:
            app: behind it.
            observe: is told.
            body_timeout_s: how long after its headers a body must be here.
        """
        self._observe = observe
        self._app = app
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI asks."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if _ID.fullmatch(sent) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        begun = time.perf_counter()
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] in _STARTS:
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = _SWITCHED
            await send(_label(message, request_id))

        try:
            if scope["type"] == "http":
                await self._http(scope, receive, noted)
            else:
                await self._app(scope, receive, noted)
        finally:
            state, route = scope["state"], scope.get("route")
            caller: Principal | None = state.get("caller")
            self._observe(
                RequestRecord(
                    request_id,
                    "none" if route is None else str(route.name),
                    status,
                    round(time.perf_counter() - begun, 6),
                    None if caller is None else caller.caller_id,
                    None if caller is None else caller.purpose,
                    state.get("faces"),
                )
            )

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = asyncio.get_running_loop().time() + self._body_timeout_s
        whole, late = False, False

        async def timely() -> Message:
            nonlocal whole, late
            if whole:  # from now on the application waits for the caller to go, as long as it likes
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                late = True
                raise HTTPException(408, headers={"Connection": "close"}) from None
            whole = not message.get("more_body", False)
            return message

        too_large = False

        async def to_the_end(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and not (whole or late) and _sends_a_body(scope):
                # Whoever is refused while they send must not find the connection shut before they have read why.
                await send({**message, "more_body": True})
                await _left_unread(receive)
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        async def in_our_words(message: Message) -> None:
            nonlocal too_large
            if too_large:  # the framework's own answer, which is plain text: it was replaced already
                return
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                too_large = message["status"] == _TOO_LARGE and headers.get("Content-Type") != MEDIA_TYPE
                if too_large:
                    await of_status(Request(scope), _TOO_LARGE)(scope, receive, to_the_end)
                    return
            await to_the_end(message)

        await self._app(scope, timely, in_our_words)


def _sends_a_body(scope: Scope) -> bool:
    # Who expects to be asked for it first sends none once they are refused.
    return scope["method"] in _WITH_A_BODY and "Expect" not in Headers(scope=scope)


async def _left_unread(receive: Receive) -> None:
    """Take the rest of a body and look at none of it, for so long and so much; what comes after that is cut off."""
    left = MAX_UNREAD_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(UNREAD_S):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


def _label(message: Message, request_id: str) -> Message:
    if message["type"] in _STARTS:
        headers = MutableHeaders(scope=message)
        headers[REQUEST_ID] = request_id
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
    return message
