"""The WebSocket of a camera: frames in, one decision for each visit out. docs/streams.md describes the messages.

The caller is authenticated before the WebSocket is accepted; a refusal is an ordinary HTTP response. Then:

1. The client's frames are numbered from 1. One is processed, the newest waits, those between are dropped.
2. Before a frame is processed, the caller is authenticated again: revoking a credential ends its streams.
3. Each frame gets one response, in order; the decisions of visits that begin with it are sent before.
4. A second factor or a request applies to the frame that is processed next, from the time at which it was received;
   so do rules for asking, and wrong ones leave the door its rule.

Nothing of a frame is stored; of a visit, only that it was reported (`volens.identify.visit_tracker`).
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.exceptions import HTTPException

from volens.consent import InputError, SecondFactor, ShownFactor, TamperError, VolensError
from volens.consent.json_reader import JsonError, read_json
from volens.face import EncodedImage, ImageError
from volens.identify import USUAL_RULES, AskRules, DoorStream, Identification, VisitTracker
from volens.service.http.access import RateError, authenticate, check_still_allowed
from volens.service.http.app_state import AppState
from volens.service.http.bodies import MAX_FRAME_BYTES
from volens.service.http.door_routes import Face, decide_frame
from volens.service.http.problems import problem_of, problem_response
from volens.service.http.thread_pool import BusyError
from volens.service.qr_reading import qr_texts_at_door

MAX_STREAMS: Final = 4
"""Open streams of one credential: a door needs one, and an old one may not have been detected as broken yet."""
MAX_TEXT: Final = 4096
SEND_TIMEOUT_S: Final = 20.0

_CHECK_S: Final = 1.0
_MAX_QUEUE: Final = 64
_MAX_NUMBER: Final = 1e6
_POLICY, _TOO_LARGE, _INTERNAL, _RESTART = 1008, 1009, 1011, 1012

router: Final = APIRouter(tags=["doors"])


@final
class _StreamEnd(Exception):  # noqa: N818  the end is not always an error
    """Ends the stream, with a close code and, mostly, the error that is sent before."""

    def __init__(self, code: int, error: VolensError | HTTPException | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


@final
class _StreamSession:
    """A stream that was accepted. Use once."""

    def __init__(self, socket: WebSocket, app_state: AppState, zone: str, door: DoorStream) -> None:
        self._socket = socket
        self._app_state = app_state
        self._zone = zone
        self._door = door
        self._caller_id: str = socket.state.caller.caller_id
        self._visits = VisitTracker()
        self._received = 0
        self._queue: deque[tuple[int, bytes | None]] = deque()
        self._changed = asyncio.Condition()
        self._factor: tuple[ShownFactor, float] | None = None
        self._requested_s: float | None = None
        self._rules: AskRules | None = None

    async def run(self) -> None:
        """Run until the client disconnects or the stream ends; the socket is closed then."""
        model = self._app_state.site.extractor.model.model_id
        tasks = [asyncio.ensure_future(one()) for one in (self._receive, self._process, self._check)]
        try:
            stated = {"second_factor": self._required, "trigger": self._door.trigger.value}
            await self._send({"type": "ready", "zone": self._zone, "model": model} | stated)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            self._door.close()
            self._wipe_factor()
        end = next((one for one in results if isinstance(one, _StreamEnd)), None)
        bug = next((one for one in results if isinstance(one, Exception)), None)
        if end is not None:
            await self._close(end)
        elif bug is not None and not isinstance(bug, WebSocketDisconnect | TimeoutError):
            await self._close(_StreamEnd(_INTERNAL))
            raise bug

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                await self._receive_text(message.get("text") or "")
                continue
            if len(data) > MAX_FRAME_BYTES:
                raise _StreamEnd(_TOO_LARGE, HTTPException(413))
            # 1.
            async with self._changed:
                await self._changed.wait_for(lambda: len(self._queue) < _MAX_QUEUE)
                self._received += 1
                if self._queue:
                    self._queue[-1] = (self._queue[-1][0], None)
                self._queue.append((self._received, data))
                self._changed.notify_all()

    @property
    def _required(self) -> str | None:
        factor = self._door.second_factor
        return None if factor is SecondFactor.NONE else factor.value

    async def _receive_text(self, text: str) -> None:
        try:
            message = read_json(text) if len(text) <= MAX_TEXT else None
        except JsonError:
            message = None
        if not isinstance(message, dict):
            raise _StreamEnd(_POLICY, HTTPException(400))
        match message:
            case {"type": "present"}:
                await self._receive_factor(message)
            case {"type": "ask"}:
                # 4.
                self._requested_s = time.monotonic()
            case {"type": "trigger"}:
                await self._receive_rules(message)
            case _:
                raise _StreamEnd(_POLICY, HTTPException(400))

    async def _receive_rules(self, message: Mapping[str, Any]) -> None:
        try:
            self._rules = _ask_rules(message)
        except InputError as error:
            await self._send({"type": "trigger", "accepted": False, "detail": str(error)})
            return
        await self._send({"type": "trigger", "accepted": True})

    async def _receive_factor(self, message: Mapping[str, Any]) -> None:
        kind, value = message.get("factor"), message.get("value")
        if self._required is None:
            raise _StreamEnd(_POLICY, InputError("this zone requires no second factor; send frames only"))
        if kind != self._required or not isinstance(value, str):
            raise _StreamEnd(_POLICY, InputError(f"this zone requires a {self._required} as second factor; send that"))
        # 4.
        self._wipe_factor()
        try:
            factor = ShownFactor.of(self._door.second_factor, value)
        except InputError:  # after a typing error, such as a PIN of three digits, the person may retry
            await self._send({"type": "presented", "accepted": False})
            return
        self._factor = factor, time.monotonic()
        await self._send({"type": "presented", "accepted": True})

    def _take_factor(self) -> tuple[ShownFactor, float] | None:
        factor, self._factor = self._factor, None
        return factor

    def _wipe_factor(self) -> None:
        if self._factor is not None:
            self._factor[0].wipe()
            self._factor = None

    async def _process(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._queue)
                number, data = self._queue.popleft()
                self._changed.notify_all()
            response: dict[str, Any] = {"type": "frame", "number": number, "faces": 0, "matches": 0}
            found = None if data is None else await self._decide(data)
            if found is None:
                response["dropped"] = True
            elif isinstance(found, Identification):
                response |= {"faces": len(found.faces), "matches": sum(face.match is not None for face in found.faces)}
                if (refusal := self._door.take_refusal()) is not None:
                    response["refused_code"] = refusal
                # 3.
                await self._send_decisions(number, found)
            else:
                response["unreadable"] = True
            await self._send(response)

    async def _decide(self, data: bytes) -> Identification | ImageError | None:
        """Return the decisions about a frame, the error if it is not an image, or None if there is no capacity."""
        # 4.
        factor = self._take_factor()
        # 2.
        try:
            await authenticate(self._socket, self._app_state)
            return await decide_frame(
                self._app_state,
                *(self._zone, self._caller_id, data),
                lambda frame: self._decide_in_thread(frame, factor),
            )
        except (BusyError, RateError):
            self._factor = self._factor or factor  # unless a newer one was presented meanwhile
            return None
        except ImageError as error:
            return error
        except (VolensError, HTTPException) as error:
            raise _StreamEnd(_INTERNAL if isinstance(error, TamperError) else _POLICY, error) from None
        finally:
            if factor is not None and factor is not self._factor:
                factor[0].wipe()

    def _decide_in_thread(self, frame: EncodedImage, presented: tuple[ShownFactor, float] | None) -> Identification:
        rules, self._rules = self._rules, None
        if rules is not None:
            self._door.set_rules(rules)
        requested_s, self._requested_s = self._requested_s, None
        if requested_s is not None:
            self._door.request(requested_s)
        if presented is not None:
            with presented[0] as factor:
                self._door.present(factor, presented[1])
            self._visits.factor_presented()
        stage = self._app_state.metrics.stage
        with stage("decode"):  # the zone was checked when the stream began
            image = frame.decode()
        with stage("decide"):
            return self._door.look(image, time.monotonic())

    async def _send_decisions(self, number: int, found: Identification) -> None:
        now = time.monotonic()
        new = self._visits.new_visits(found, now) + self._visits.new_factor_requests(found, now)
        for face in [*new, *self._visits.new_refusals(found)]:
            decision = Face.of(face).model_dump() | {"looks": face.looks}
            self._app_state.decisions.count(self._caller_id, self._zone, "stream", {}, {decision["decision"]: 1})
            self._app_state.note_decision(self._caller_id, self._zone)
            await self._send({"type": "decision", "passage": secrets.token_hex(8), "frame": number} | decision)

    async def _check(self) -> None:
        """End the stream when its credential is revoked, or the service shuts down."""
        while True:
            await asyncio.sleep(_CHECK_S)
            if self._app_state.stopping.is_set():
                raise _StreamEnd(_RESTART)
            try:
                await check_still_allowed(self._socket, self._app_state)
            except (VolensError, HTTPException) as error:
                raise _StreamEnd(_POLICY, error) from None

    async def _send(self, message: Mapping[str, Any]) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._socket.send_text(json.dumps(message))

    async def _close(self, end: _StreamEnd) -> None:
        problem = None if end.error is None else problem_of(self._socket, end.error)
        if problem is not None:
            self._app_state.decisions.count_request(self._caller_id, self._zone, "stream", problem["status"], {})
        with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
            if problem is not None:
                # `type` must say which message this is, so the type of the problem, a URN, is in `problem`.
                await self._send({**problem, "problem": problem["type"], "type": "problem"})
            await self._socket.close(end.code)


def _ask_rules(message: Mapping[str, Any]) -> AskRules:
    """Read the rules of a door; a member that is missing has its default.

    Raises:
        InputError: a member is not a number, or out of range.
    """
    region = message.get("region", list(USUAL_RULES.region))
    usual = asdict(USUAL_RULES)
    numbers = {name: message.get(name, usual[name]) for name in ("near", "dwell_s", "timeout_s")}
    sides = region if isinstance(region, list) and len(region) == len(USUAL_RULES.region) else [None]
    if not all(map(_is_number, (*numbers.values(), *sides))):
        raise InputError(
            "got a trigger message whose near, dwell_s or timeout_s is not a number, or whose region is not four of "
            "them; see docs/streams.md"
        )
    left, top, right, bottom = map(float, sides)
    return AskRules(region=(left, top, right, bottom), **{name: float(one) for name, one in numbers.items()})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER


@router.websocket("/zones/{zone}/stream", name="stream")
async def stream(socket: WebSocket, zone: str, photos: bool = False) -> None:  # noqa: FBT001, FBT002  of the query
    """Decide about the frames of one camera until the client disconnects or is no longer allowed.

    With `?photos=true` the frames are photos that do not follow each other: each is decided by one look.
    """
    app_state: AppState = socket.app.state.app_state
    try:
        caller_id = (await authenticate(socket, app_state)).caller_id
        if app_state.open_streams[caller_id] >= MAX_STREAMS:
            raise RateError(f"this credential has {MAX_STREAMS} open streams already; close one first")
    except (VolensError, HTTPException) as error:
        await socket.send_denial_response(problem_response(socket, error))
        return
    app_state.open_streams[caller_id] += 1
    try:
        door = await app_state.model_pool.run(
            lambda: app_state.site.watch(zone, caller=caller_id, photos=photos, read_codes=qr_texts_at_door),
            zone=zone,
            caller=caller_id,
        )
    except VolensError as error:
        await socket.send_denial_response(problem_response(socket, error))
    else:
        await socket.accept()
        await _StreamSession(socket, app_state, zone, door).run()
    finally:
        app_state.open_streams[caller_id] -= 1
        if not app_state.open_streams[caller_id]:
            del app_state.open_streams[caller_id]
