"""The way out: whoever shows the code or the receipt ends the consent. No login, no reason."""

from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from volens.consent import InputError
from volens.service.http.access import slow_down
from volens.service.http.app_state import RoomsOf
from volens.service.http.bodies import EXACTLY_ONE, MAX_JSON_BYTES

router: Final = APIRouter(tags=["rights"])


class Withdrawal(BaseModel):
    """One of the two."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=EXACTLY_ONE)
    code: str | None = Field(None, description="the withdrawal code, or the text of its QR", max_length=200)
    receipt: str | None = Field(None, description="the receipt, expired or not, or the whole take-home file")


class Withdrawn(BaseModel):
    """It is done: nobody is matched by this consent any more, and nothing of it is left. The same for a second time."""

    zone: str
    certificate_id: str
    certificate: str = Field(description="a file to keep; anybody can check it with the site's public key alone")


@router.post("/withdrawals", summary="Withdraw a consent", max_body_size=MAX_JSON_BYTES)
async def withdraw(request: Request, app_state: RoomsOf, shown: Withdrawal) -> Withdrawn:
    """End a consent, erase what it allowed, and return the certificate."""
    slow_down(request, app_state)
    if (shown.code is None) == (shown.receipt is None):
        raise InputError("got both or neither of code and receipt; give one of the two")
    receipt = None if shown.receipt is None else shown.receipt.encode("utf-8", "replace")
    erased = await app_state.exit.do(lambda: app_state.site.withdraw(receipt=receipt, code=shown.code))
    certificate = await app_state.exit.do(lambda: erased.certificate_path.read_text("utf-8"))
    return Withdrawn(zone=erased.zone, certificate_id=erased.certificate_id, certificate=certificate)
