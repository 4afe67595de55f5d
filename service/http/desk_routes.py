"""Operations of a reception desk: enroll people who gave consent, and set second factors."""

import base64
from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Depends, File, Form, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from volens.consent import Purpose, ReceiptId, TakeHome
from volens.service.http.access import GuardedRoute
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import (
    EXACTLY_ONE,
    MAX_FORM_BYTES,
    IdInPath,
    ModelName,
    RequestBody,
    SubjectId,
    ZoneName,
    read_upload,
)
from volens.service.http.door_routes import required_factor
from volens.service.http.idempotency import Idempotent, StorableResponse
from volens.service.http.shown_receipt import ReceiptForm, receipt_for_zone
from volens.service.http.uploaded_enrollment import enroll_uploaded

MAX_PHOTOS: Final = 32

router: Final = APIRouter(tags=["desk"], route_class=GuardedRoute)


class EnrolledAnswer(BaseModel):
    """The biometric reference that was created. The photos were not stored."""

    reference_id: int = Field(examples=[12])
    subject_id: SubjectId
    zone: ZoneName
    model: ModelName
    photo_count: int = Field(examples=[3])
    few: bool = Field(description="fewer photos than recommended; the reference is less reliable", examples=[False])
    badge: str | None = Field(description="base64, in a zone of custody badge: the only copy")


class NewFactor(RequestBody):
    """The second factor of a person: one of the two. Neither is stored, only a hash of it."""

    model_config = ConfigDict(json_schema_extra=EXACTLY_ONE)
    badge_number: str | None = Field(
        None, max_length=200, description="as the reader at the door reads it", examples=["04:A1:B2:C3"]
    )
    pin: str | None = Field(None, max_length=200, description="4 to 12 digits that are hard to guess")


@router.post(
    "/zones/{zone}/enrollments",
    status_code=201,
    response_model=EnrolledAnswer,
    summary="Enroll a person",
    max_body_size=MAX_FORM_BYTES,
)
async def enroll(
    zone: str,
    app_state: SharedState,
    shown: Annotated[ReceiptForm, Depends()],
    photos: Annotated[list[UploadFile], File(min_length=1, max_length=MAX_PHOTOS)],
    idempotent: Idempotent,
    secret: UploadFile | None = None,
    allow_few: Annotated[bool, Form(description="accept fewer than 3 photos")] = False,  # noqa: FBT002  a form's field
    two_people: Annotated[  # noqa: FBT002  a form's field
        bool, Form(description="a look-alike is enrolled here, and the desk has checked that they are two people")
    ] = False,
) -> Response:
    """Create the biometric reference of a person with a live consent. Photos are not stored.

    Send the person's receipt, or the id of the consent.
    """
    site = app_state.site
    receipt = await shown.read()
    half = await read_upload(secret)
    files = [await read_upload(photo) or b"" for photo in photos]
    return await idempotent.run(
        app_state.enrollment_pool,
        lambda: _enroll(
            app_state, receipt_for_zone(site, zone, receipt, shown.receipt_id), files, half, (allow_few, two_people)
        ),
        *(zone, receipt or b"", shown.receipt_id or "", *files, allow_few, two_people),
        zone=zone,
    )


def _enroll(
    app_state: AppState, receipt: bytes, photos: list[bytes], half: bytes | None, allowed: tuple[bool, bool]
) -> StorableResponse:
    claims = TakeHome.parse(receipt).receipt.claims
    few, two = allowed
    done, sealed = enroll_uploaded(app_state, receipt, claims.custody, photos, half, allow_few=few, two_people=two)
    badge = None if sealed is None else base64.b64encode(sealed).decode("ascii")
    body = EnrolledAnswer(zone=done.purpose, model=done.model_id, badge=badge, **asdict(done))
    return StorableResponse(body, claims.receipt_id, has_secret=sealed is not None)


@router.put(
    "/zones/{zone}/consents/{receipt_id}/factor",
    status_code=204,
    summary="Set a second factor; it replaces the previous one",
)
async def set_factor(zone: str, receipt_id: IdInPath, app_state: SharedState, new: NewFactor) -> None:
    """Set the second factor of a person, in a zone that requires one."""

    def keep() -> None:
        with required_factor(new.badge_number, new.pin) as factor:
            app_state.site.factors.set(ReceiptId(receipt_id), factor, Purpose(zone))

    await app_state.desk_pool.run(keep)


@router.delete("/zones/{zone}/consents/{receipt_id}/factor", status_code=204, summary="Remove a second factor")
async def remove_factor(zone: str, receipt_id: IdInPath, app_state: SharedState) -> None:
    """Remove a person's second factor: the door stays closed for them until they have a new one."""
    site = app_state.site
    await app_state.desk_pool.run(lambda: site.factors.remove(ReceiptId(receipt_id), Purpose(zone)))
