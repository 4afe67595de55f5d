"""Inbound webhooks: signed messages of other programs that end consents, such as when an employee leaves."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field

from volens.consent import ReceiptId, VolensError
from volens.service.http.access import limit_address
from volens.service.http.app_state import SharedState
from volens.service.webhooks.inbound import parse_revocation, verify_sender
from volens.service.webhooks.revocations import carry_out_revocation
from volens.service.webhooks.signatures import SignatureError

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


class Accepted(BaseModel):
    """The consents that were meant no longer match. The response does not show whether there were any."""

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
    _message_id: Annotated[str, Header(alias="webhook-id", description="the same for every attempt")] = "",
    _timestamp: Annotated[str, Header(alias="webhook-timestamp", description="Unix time of this attempt")] = "",
    _signature: Annotated[str, Header(alias="webhook-signature", description="one or more, by spaces")] = "",
) -> Accepted:
    """End the consents that a known sender's message names. The response is sent when matching has stopped."""
    # Before any work: a flood of invalid messages must not occupy the thread that withdrawals need.
    limit_address(request, app_state, count=False)
    site, pool = app_state.site, app_state.withdrawal_pool
    headers, body = dict(request.headers), await request.body()
    try:
        sender, message = await pool.run(lambda: verify_sender(site.programs.senders, headers, body, site.now()))
    except SignatureError:
        limit_address(request, app_state)
        raise
    revocation = parse_revocation(body)
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[list[ReceiptId]] = loop.create_future()

    def when_stopped() -> None:
        loop.call_soon_threadsafe(lambda: None if stopped.done() else stopped.set_result([]))

    erasure = asyncio.ensure_future(
        pool.run(lambda: carry_out_revocation(site, sender, message.message_id, revocation, when_stopped))
    )
    app_state.keep_until_done(erasure)
    await asyncio.wait({stopped, erasure}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        erasure.add_done_callback(_finished_later)
    else:
        await erasure  # an error is the response; the sender retries
    return Accepted(status="accepted")


def _finished_later(erasure: asyncio.Future[list[ReceiptId]]) -> None:
    # Matching has stopped. An unfinished erasure is in the journal, and /readyz reports it.
    error = None if erasure.cancelled() else erasure.exception()
    if error is not None and not isinstance(error, VolensError):
        erasure.get_loop().call_exception_handler({"message": "an erasure ended by a bug", "future": erasure})
