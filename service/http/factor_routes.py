"""Second factors: set at the desk, shown at a door together with the face."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Path, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from volens.consent import InputError, Purpose, ReceiptId, ShownFactor
from volens.face import RgbImage
from volens.identify import Identification
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import RoomsOf
from volens.service.http.bodies import EXACTLY_ONE, MAX_FRAME_BYTES, MAX_JSON_BYTES, whole
from volens.service.http.door_routes import Decisions, decided, factor_sent

router: Final = APIRouter(route_class=GuardedRoute)

_Receipt = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class NewFactor(BaseModel):
    """What a person will show besides their face; one of the two. Neither is kept, only what tells it again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=EXACTLY_ONE, hide_input_in_errors=True)
    badge_number: str | None = Field(None, max_length=200, description="as the reader at the door reads it")
    pin: str | None = Field(None, max_length=200, description="4 to 12 digits; none that others would try first")


@router.put(
    "/zones/{zone}/consents/{receipt_id}/factor",
    status_code=204,
    tags=["desk"],
    summary="Set a second factor, in the place of the one before",
    max_body_size=MAX_JSON_BYTES,
)
async def set_factor(zone: str, receipt_id: _Receipt, app_state: RoomsOf, _caller: Caller, new: NewFactor) -> None:
    """Set what a person shows besides their face in a zone that asks for it."""
    site = app_state.site

    def keep() -> None:
        with _sent(new.badge_number, new.pin) as factor:
            site.factors.set(ReceiptId(receipt_id), factor, Purpose(zone))

    await app_state.desk.do(keep)


@router.delete(
    "/zones/{zone}/consents/{receipt_id}/factor", status_code=204, tags=["desk"], summary="Remove a second factor"
)
async def remove_factor(zone: str, receipt_id: _Receipt, app_state: RoomsOf, _caller: Caller) -> None:
    """Remove what a person shows besides their face: they do not get in until they have a new one."""
    site = app_state.site
    await app_state.desk.do(lambda: site.factors.remove(ReceiptId(receipt_id), Purpose(zone)))


@router.post(
    "/zones/{zone}/pass",
    tags=["doors"],
    summary="Whose are this face and this badge or PIN",
    response_model=Decisions,
    max_body_size=MAX_FRAME_BYTES,
)
async def pass_door(
    zone: str,
    request: Request,
    app_state: RoomsOf,
    caller: Caller,
    frame: UploadFile,
    badge_number: Annotated[str | None, Form(description="in a zone that asks for a badge")] = None,
    pin: Annotated[str | None, Form(description="in a zone that asks for a PIN")] = None,
) -> Response:
    """Decide about every face of a frame, with what was shown besides: one person's, so that one person matches.

    A wrong number or PIN, one of somebody else, and one that is not looked at after too many wrong ones are one answer.
    """
    site = app_state.site
    data = await whole(frame) or b""

    def decide(image: RgbImage) -> Identification:
        with _sent(badge_number, pin) as factor:
            return site.identify(zone, image, factor, app_state.metrics.stage)

    return await decided(request, app_state, caller, data, decide)


def _sent(badge_number: str | None, pin: str | None) -> ShownFactor:
    factor = factor_sent(badge_number, pin)
    if factor is None:
        raise InputError("got neither badge_number nor pin; send the one that the zone asks for")
    return factor
