"""Operations for the person, without a login: withdraw a consent, and request access to their data."""

from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from volens.consent import InputError
from volens.service.http.access import limit_address
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import EXACTLY_ONE, Id, JsonRoute, RequestBody, Time, ZoneName
from volens.service.http.idempotency import Idempotent, StorableResponse

router: Final = APIRouter(tags=["rights"], route_class=JsonRoute)


class CodeOrReceipt(RequestBody):
    """The consent that is meant: one of the two."""

    model_config = ConfigDict(json_schema_extra=EXACTLY_ONE)
    code: str | None = Field(
        None,
        description="the withdrawal code, or the text of its QR code",
        max_length=200,
        examples=["XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-X"],
    )
    receipt: str | None = Field(None, description="the receipt, expired or not, or the whole take-home file")

    def receipt_bytes(self) -> bytes | None:
        """Return the receipt as a file has it."""
        return None if self.receipt is None else self.receipt.encode("utf-8", "replace")


class Withdrawn(BaseModel):
    """The consent has ended and its data is erased; a repeated withdrawal gets the same response."""

    zone: ZoneName
    certificate_id: Id
    certificate: str = Field(
        description="a file to keep; anyone can verify it with the site's public key alone",
        examples=['{"certificate": "eyJ..."}'],
    )


class OpenedRequest(BaseModel):
    """An access request was opened: the desk has the answer for the person by `due_at`."""

    request_id: Id = Field(description="the person names it at the desk")
    due_at: Time


@router.post("/withdrawals", summary="Withdraw a consent")
async def withdraw(request: Request, app_state: SharedState, shown: CodeOrReceipt) -> Withdrawn:
    """End a consent, erase its data, and return the certificate. No reason is needed."""
    limit_address(request, app_state)
    if (shown.code is None) == (shown.receipt is None):
        raise InputError("got both or neither of code and receipt; give one of the two")
    receipt = shown.receipt_bytes()

    def end_consent() -> Withdrawn:
        erased = app_state.site.withdraw(receipt=receipt, code=shown.code)
        certificate = erased.certificate_path.read_text("utf-8")
        return Withdrawn(zone=erased.zone, certificate_id=erased.certificate_id, certificate=certificate)

    return await app_state.withdrawal_pool.run(end_consent)


@router.post(
    "/access-requests", status_code=201, response_model=OpenedRequest, summary="Request access to one's own data"
)
async def ask_for_access(
    request: Request, app_state: SharedState, shown: CodeOrReceipt, idempotent: Idempotent
) -> Response:
    """Open a person's access request. The answer is handed over to the person at the desk."""
    limit_address(request, app_state)

    def open_request() -> StorableResponse:
        opened = app_state.site.rights.open_access(receipt=shown.receipt_bytes(), code=shown.code)
        return StorableResponse(OpenedRequest(request_id=opened.request_id, due_at=opened.due_at))

    return await idempotent.run(app_state.desk_pool, open_request, shown)
