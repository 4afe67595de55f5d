"""One open stream: what was received and not looked at yet, whose turn it is, and what is told of it.

1. The client's frames are numbered from 1. One is looked at, the newest waits, those between are dropped.
2. Before a frame is looked at, the credential is asked for again: one that was ended ends the stream.
3. A frame is answered once, in its order; a passage that begins with it is told of before.
4. What somebody shows besides their face goes to the frame that is looked at next, as of when it was received.

Nothing of a frame is kept; of a passage, only that it was told of (`volens.service.door_passages`).
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NoReturn, final

from fastapi import WebSocket, WebSocketDisconnect
from starlette.exceptions import HTTPException

from volens.consent import InputError, SecondFactor, ShownFactor, TamperError, VolensError
from volens.face import ImageError
from volens.identify import DoorStream, FaceDecision, Identification
from volens.service.door_passages import Passages
from volens.service.http.access import RateError, admitted, known
from volens.service.http.app_state import AppState
from volens.service.http.bodies import MAX_FRAME_BYTES
from volens.service.http.door_routes import Face, looked_at
from volens.service.http.problems import of_error, of_status
from volens.service.http.thread_pool import BusyError

MAX_TEXT: Final = 4096
SAY_TIMEOUT_S: Final = 20.0

_WATCH_S: Final = 1.0
_MAX_WAITING: Final = 64
_POLICY, _TOO_LARGE, _BUG, _COME_AGAIN = 1008, 1009, 1011, 1012


@final
class _Over(Exception):  # noqa: N818  it is an end, not always an error
    """The stream is over, with this code and, mostly, this problem."""

    def __init__(self, code: int, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.problem = problem


@final
class StreamSession:
    """A stream that was accepted. Use once."""

    def __init__(self, socket: WebSocket, app_state: AppState, zone: str, watched: DoorStream) -> None:
        """Begin with no frame."""
        self._socket = socket
        self._app_state = app_state
        self._zone = zone
        self._watched = watched
        self._caller: str = socket.state.caller.caller_id
        self._passages = Passages()
        self._received = 0
        self._waiting: deque[tuple[int, bytes | None]] = deque()
        self._changed = asyncio.Condition()
        self._shown: tuple[ShownFactor, float] | None = None

    async def run(self) -> None:
        """Do it until the client goes, or must; the socket is closed then."""
        model = self._app_state.site.extractor.model.model_id
        work = [asyncio.ensure_future(one()) for one in (self._receive, self._look, self._watch)]
        try:
            await self._say({"type": "ready", "zone": self._zone, "model": model, "second_factor": self._asked})
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in work:
                one.cancel()
            ended = await asyncio.gather(*work, return_exceptions=True)
            self._watched.close()
            self._forget_shown()
        over = next((one for one in ended if isinstance(one, _Over)), None)
        bug = next((one for one in ended if isinstance(one, Exception)), None)
        if over is not None:
            await self._close(over)
        elif bug is not None and not isinstance(bug, WebSocketDisconnect | TimeoutError):
            await self._close(_Over(_BUG))
            raise bug

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                await self._read(message.get("text") or "")
                continue
            if len(data) > MAX_FRAME_BYTES:
                self._refuse(_TOO_LARGE, 413)
            # 1.
            async with self._changed:
                await self._changed.wait_for(lambda: len(self._waiting) < _MAX_WAITING)
                self._received += 1
                if self._waiting:
                    self._waiting[-1] = (self._waiting[-1][0], None)
                self._waiting.append((self._received, data))
                self._changed.notify_all()

    @property
    def _asked(self) -> str | None:
        asked = self._watched.second_factor
        return None if asked is SecondFactor.NONE else asked.value

    async def _read(self, text: str) -> None:
        try:
            said = json.loads(text) if len(text) <= MAX_TEXT else None
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or said.get("type") != "present":
            self._refuse(_POLICY, 400)
        factor, value = said.get("factor"), said.get("value")
        if self._asked is None:
            raise _Over(
                _POLICY, self._told(InputError("this zone asks for a face and nothing else; show nothing besides"))
            )
        if factor != self._asked or not isinstance(value, str):
            raise _Over(_POLICY, self._told(InputError(f"this zone asks for a {self._asked} besides; show that")))
        # 4.
        self._forget_shown()
        try:
            shown = ShownFactor.of(self._watched.second_factor, value)
        except InputError:  # whoever typed three digits may type again
            await self._say({"type": "presented", "accepted": False})
            return
        self._shown = shown, time.monotonic()
        await self._say({"type": "presented", "accepted": True})

    def _take_shown(self) -> tuple[ShownFactor, float] | None:
        shown, self._shown = self._shown, None
        return shown

    def _forget_shown(self) -> None:
        if self._shown is not None:
            self._shown[0].wipe()
            self._shown = None

    async def _look(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting)
                number, data = self._waiting.popleft()
                self._changed.notify_all()
            answer: dict[str, Any] = {"type": "frame", "number": number, "faces": 0, "matches": 0}
            found = None if data is None else await self._decide(data)
            if found is None:
                answer["dropped"] = True
            elif isinstance(found, Identification):
                answer |= {"faces": len(found.faces), "matches": sum(face.match is not None for face in found.faces)}
                # 3.
                await self._tell(number, found)
            else:
                answer["unreadable"] = True
            await self._say(answer)

    async def _decide(self, data: bytes) -> Identification | ImageError | None:
        """Return what was decided about a frame; that it is none; or nothing, where there is no time for it."""
        # 4.
        shown = self._take_shown()
        # 2.
        try:
            await known(self._socket, self._app_state)
            return await self._app_state.models.do(lambda: self._looked_at(data, shown))
        except (BusyError, RateError):
            self._shown = self._shown or shown  # unless something newer was shown meanwhile
            return None
        except ImageError as error:
            return error
        except VolensError as error:
            raise _Over(_BUG if isinstance(error, TamperError) else _POLICY, self._told(error)) from None
        except HTTPException as error:
            self._refuse(_POLICY, error.status_code)
        finally:
            if shown is not None and shown is not self._shown:
                shown[0].wipe()

    def _looked_at(self, data: bytes, shown: tuple[ShownFactor, float] | None) -> Identification:
        if shown is not None:
            with shown[0] as factor:
                self._watched.present(factor, shown[1])
            self._passages.shown()
        return looked_at(self._app_state, self._caller, data, lambda frame: self._watched.look(frame, time.monotonic()))

    async def _tell(self, number: int, found: Identification) -> None:
        now = time.monotonic()
        new = self._passages.begun(found, now)
        stranger = self._passages.stranger(found, now)
        new += self._passages.asked(found, now)
        for face in [*new, *([] if stranger is None else [stranger])]:
            decision = _decision(number, face)
            self._app_state.decisions.count(self._caller, self._zone, "stream", {}, {decision["decision"]: 1})
            await self._say(decision)

    async def _watch(self) -> None:
        """End the stream of a credential that was ended, and every stream when the service ends."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if self._app_state.leaving.is_set():
                raise _Over(_COME_AGAIN)
            try:
                await admitted(self._socket, self._app_state)
            except VolensError as error:
                raise _Over(_POLICY, self._told(error)) from None
            except HTTPException as error:
                self._refuse(_POLICY, error.status_code)

    def _refuse(self, code: int, status: int) -> NoReturn:
        raise _Over(code, json.loads(bytes(of_status(self._socket, status).body)))

    def _told(self, error: VolensError) -> Mapping[str, Any]:
        told: Mapping[str, Any] = json.loads(bytes(of_error(self._socket, error).body))
        return told

    async def _say(self, message: Mapping[str, Any]) -> None:
        async with asyncio.timeout(SAY_TIMEOUT_S):
            await self._socket.send_text(json.dumps(message))

    async def _close(self, over: _Over) -> None:
        if over.problem is not None:
            self._app_state.decisions.answered(self._caller, self._zone, "stream", over.problem["status"], {})
        with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
            if over.problem is not None:
                # Its own type, a URN, would hide what kind of message this is.
                await self._say({**over.problem, "problem": over.problem["type"], "type": "problem"})
            await self._socket.close(over.code)


def _decision(number: int, face: FaceDecision) -> Mapping[str, Any]:
    said = Face.of(face).model_dump()
    return {"type": "decision", "passage": secrets.token_hex(8), "frame": number} | said
