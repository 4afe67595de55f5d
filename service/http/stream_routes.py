"""A camera at a door, over one WebSocket: frames in, one decision for each passage out. docs/streams.md has the words.

Who asks is known before the socket is opened; a refusal is an ordinary answer of HTTP, as everywhere else.
"""

from typing import Final

from fastapi import APIRouter, WebSocket
from starlette.exceptions import HTTPException
from starlette.responses import Response

from volens.consent import VolensError
from volens.service.http.access import RateError, known
from volens.service.http.app_state import AppState
from volens.service.http.problems import of_error, of_status
from volens.service.http.stream_session import StreamSession

MAX_STREAMS: Final = 4
"""Of one credential at a time: a door has one, and sometimes an old one that nobody has noticed to be dead."""

router: Final = APIRouter(tags=["doors"])


@router.websocket("/zones/{zone}/stream", name="stream")
async def stream(socket: WebSocket, zone: str) -> None:
    """Decide about the frames of one camera until the client goes, or may ask no more."""
    app_state: AppState = socket.app.state.app_state
    try:
        caller = await known(socket, app_state)
        if app_state.streams[caller.caller_id] >= MAX_STREAMS:
            raise RateError(f"this credential has {MAX_STREAMS} streams open already; close one first")
        app_state.streams[caller.caller_id] += 1
    except VolensError as error:
        await _refuse(socket, of_error(socket, error))
        return
    except HTTPException as error:
        await _refuse(socket, of_status(socket, error.status_code))
        return
    try:
        try:
            watched = await app_state.models.do(lambda: app_state.site.watch(zone))
        except VolensError as error:
            await _refuse(socket, of_error(socket, error))
            return
        await socket.accept()
        await StreamSession(socket, app_state, zone, watched).run()
    finally:
        app_state.streams[caller.caller_id] -= 1
        if not app_state.streams[caller.caller_id]:
            del app_state.streams[caller.caller_id]


async def _refuse(socket: WebSocket, answer: Response) -> None:
    await socket.send_denial_response(answer)
