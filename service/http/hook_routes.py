"""What other programs of the house tell, signed: who has left, who took a yes back."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field

from volens.consent import ReceiptId, VolensError
from volens.service.http.access import check_not_slowed, slow_down
from volens.service.http.app_state import RoomsOf
from volens.service.http.bodies import MAX_JSON_BYTES
from volens.service.webhooks.inbound import revocation_in, signed_by
from volens.service.webhooks.signatures import SignatureError

router: Final = APIRouter(prefix="/hooks", tags=["hooks"])

_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "signed after the Standard Webhooks specification, `v1` or `v1a`",
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
                            "description": "one of the two",
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


class Accepted(BaseModel):
    """Nobody is matched by the consents that were meant. Whether there were any is not told."""

    status: str = Field(examples=["accepted"])


@router.post(
    "/revocations",
    status_code=202,
    summary="Somebody has left, or took a yes back",
    max_body_size=MAX_JSON_BYTES,
    openapi_extra=_BODY,
)
async def revoke_by_hook(
    request: Request,
    app_state: RoomsOf,
    _message_id: Annotated[str, Header(alias="webhook-id", description="the same for every attempt")] = "",
    _timestamp: Annotated[str, Header(alias="webhook-timestamp", description="seconds since 1970, of this one")] = "",
    _signature: Annotated[str, Header(alias="webhook-signature", description="one or more, by blanks")] = "",
) -> Accepted:
    """End the consents that a known sender's message is about. The answer comes when matching has stopped."""
    check_not_slowed(request, app_state)  # or a flood of wrong ones would take all places of those who withdraw
    site = app_state.site
    senders = site.revocations.senders
    headers, body = dict(request.headers), await request.body()
    try:
        sender, message = await app_state.exit.do(lambda: signed_by(senders, headers, body, senders.now()))
    except SignatureError:
        slow_down(request, app_state)
        raise
    wanted = revocation_in(body)
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[list[ReceiptId]] = loop.create_future()

    def when_stopped() -> None:
        loop.call_soon_threadsafe(lambda: None if stopped.done() else stopped.set_result([]))

    work = asyncio.ensure_future(
        app_state.exit.do(lambda: site.revocations.carry_out(sender, message.message_id, wanted, when_stopped))
    )
    app_state.unwatched.add(work)
    work.add_done_callback(app_state.unwatched.discard)
    await asyncio.wait({stopped, work}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        work.add_done_callback(_finished_later)
    else:
        await work  # what it raises is the answer; the sender comes again
    return Accepted(status="accepted")


def _finished_later(work: asyncio.Future[list[ReceiptId]]) -> None:
    # Matching has stopped. What is left of an erasure stands in the journal, and /readyz tells of it.
    error = None if work.cancelled() else work.exception()
    if error is not None and not isinstance(error, VolensError):
        work.get_loop().call_exception_handler({"message": "an erasure ended by a bug", "future": work})
