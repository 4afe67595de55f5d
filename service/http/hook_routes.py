"""Inbound webhooks: signed messages of other programs that end consents, such as when an employee leaves."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from secrets import SystemRandom
from typing import Annotated, Final

from fastapi import APIRouter, BackgroundTasks, Header, Request
from pydantic import BaseModel, Field

from volens.consent import UnavailableError, VolensError
from volens.erase import carry_out_revocation, hold_revocation
from volens.service.http.access import limit_address
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.thread_pool import BusyError
from volens.service.webhooks.inbound import parse_revocation, verify_sender
from volens.service.webhooks.signatures import SignatureError
from volens.store.programs import ReceivedMessage, received

router: Final = APIRouter(prefix="/hooks", tags=["hooks"])

_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "signed as the Standard Webhooks specification defines, `v1` or `v1a`",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["type", "data"],
                    "properties": {
                        "type": {"type": "string", "enum": ["consent.revoked", "employee.terminated"]},
                        "timestamp": {"type": "string", "format": "date-time"},
                        "data": {
                            "type": "object",
                            "description": "exactly one of the two",
                            "properties": {
                                "receipt_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                                "external_id": {"type": "string", "minLength": 1, "maxLength": 200},
                            },
                        },
                    },
                },
                "example": {
                    "type": "employee.terminated",
                    "timestamp": "2026-11-24T12:00:00Z",
                    "data": {"external_id": "4711"},
                },
            }
        },
    }
}


ANSWER_STEP_S: Final = 0.5
"""An answer is sent this long after its request, or a multiple of it, plus a random part of as much again. So it does
not show whether the store or the processor was busy with what an earlier message did, unless that takes longer; and a
sender can end a person's consent, and look at the times, only once."""


_RANDOM: Final = SystemRandom()


class Accepted(BaseModel):
    """The message is stored and will be carried out. The response does not show whether it is about a known person."""

    status: str = Field(examples=["accepted"])


@router.post(
    "/revocations",
    status_code=202,
    summary="Revoke consents, such as when an employee leaves",
    openapi_extra=_BODY,
)
async def revoke_by_hook(
    request: Request,
    app_state: SharedState,
    tasks: BackgroundTasks,
    _message_id: Annotated[str, Header(alias="webhook-id", description="the same for every attempt")] = "",
    _timestamp: Annotated[str, Header(alias="webhook-timestamp", description="Unix time of this attempt")] = "",
    _signature: Annotated[str, Header(alias="webhook-signature", description="one or more, by spaces")] = "",
) -> Accepted:
    """End the consents that a known sender's message names: matching stops right after the response."""
    arrived_s = asyncio.get_running_loop().time()
    # Before any work: a flood of invalid messages must not occupy the thread that verifies them.
    limit_address(request, app_state, count=False)
    site, headers, body = app_state.site, dict(request.headers), await request.body()

    def accept() -> tuple[ReceivedMessage, bool, UnavailableError | None]:
        sender, verified = verify_sender(site.programs.senders, headers, body, site.now())
        message = received(sender, verified.message_id, parse_revocation(body).to_json())
        try:
            return message, site.programs.inbox.store(message), None
        except UnavailableError as error:
            return message, False, error

    try:
        message, is_new, problem = await app_state.hook_pool.run(accept)
    except SignatureError:
        limit_address(request, app_state)
        raise
    # Up to here, nothing has looked for the person whom the message names.
    if problem is not None:
        app_state.keep_until_done(asyncio.ensure_future(_hold(app_state, message, str(problem))))
    elif is_new:
        tasks.add_task(_carry_out_later, app_state, message)
    past_s = asyncio.get_running_loop().time() - arrived_s
    await asyncio.sleep(ANSWER_STEP_S - past_s % ANSWER_STEP_S + _RANDOM.uniform(0, ANSWER_STEP_S))
    if problem is not None:
        raise UnavailableError(
            f"the message is not stored yet ({problem}); send it again until it is; until then this service does not "
            "match the people whom it names, if it knows them"
        )
    return Accepted(status="accepted")


async def _carry_out_later(app_state: AppState, message: ReceivedMessage) -> None:
    # Called when the response was sent. It returns at once, so that the connection is free for the next request.
    app_state.keep_until_done(asyncio.ensure_future(_carry_out(app_state, message)))


async def _carry_out(app_state: AppState, message: ReceivedMessage) -> None:
    """Carry out a stored message; if the store cannot be written, it is a pending stop.

    What is left when the service ends is carried out when a process opens the site, or by the sweep.
    """
    installation = app_state.site.installation
    try:
        await _when_free(app_state, lambda: carry_out_revocation(installation, message))
    except UnavailableError as error:
        await _hold(app_state, message, str(error))
    except VolensError:
        pass  # matching has stopped; the rest is in the journal


async def _hold(app_state: AppState, message: ReceivedMessage, problem: str) -> None:
    site = app_state.site
    with suppress(UnavailableError):
        await _when_free(app_state, lambda: hold_revocation(site.stops, site.installation, message, problem))


async def _when_free(app_state: AppState, call: Callable[[], object]) -> None:
    while True:
        try:
            await app_state.revocation_pool.run(call)
        except BusyError:
            await asyncio.sleep(ANSWER_STEP_S)
        else:
            return
