"""What a reception desk does: take a yes, take photos."""

import base64
import os
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from volens import Site
from volens.consent import Badge, Custody, PersonSecret, RefusedError, SubjectKey, TakeHome
from volens.consent.errors import ForeignReceiptError
from volens.face import decode
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import RoomsOf
from volens.service.http.bodies import MAX_FORM_BYTES, MAX_JSON_BYTES, whole
from volens.service.http.idempotency import IdempotencyKey, IdempotentRequest, StoredOutcome, idempotent

MAX_PHOTOS: Final = 32

router: Final = APIRouter(tags=["desk"], route_class=GuardedRoute)


class NewConsent(BaseModel):
    """A yes."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(description="kept sealed, gone with the consent", examples=["Ada Example"])
    jurisdiction: str = Field(description="whose law protects the person: ISO 3166", examples=["FR"])
    notice_sha256: str = Field(description="of the notice that the person was shown and said yes to")
    language: str | None = Field(None, description="of that notice")
    external_id: str | None = Field(None, description="what the staff list calls the person; only a keyed hash is kept")
    valid_days: StrictInt | None = Field(None, description="the term that the person wants; else the zone's retention")


class ConsentAnswer(BaseModel):
    """What the person takes home. The site keeps neither key nor code nor secret: this answer is the only copy."""

    receipt_id: str
    subject_id: str
    zone: str
    expires_at: datetime
    take_home: str = Field(description="the file to hand over; it is also what enrolls the person")
    person_key_pem: str = Field(description="the person's own key, for the person alone")
    secret: str | None = Field(description="the person's half of the key, in a zone of custody subject_key")


class EnrolledAnswer(BaseModel):
    """A reference that was made. The photos were not kept."""

    reference_id: int
    subject_id: str
    zone: str
    model: str
    photo_count: int
    few: bool = Field(description="fewer photos than advised; the reference is less reliable")
    badge: str | None = Field(description="base64, in a zone of custody badge: the only copy")


@router.post(
    "/zones/{zone}/consents",
    status_code=201,
    response_model=ConsentAnswer,
    summary="Record a yes",
    max_body_size=MAX_JSON_BYTES,
)
async def give_consent(
    zone: str, app_state: RoomsOf, caller: Caller, new: NewConsent, key: IdempotencyKey = None
) -> Response:
    """Record the consent of a person who was shown the notice and said yes, with a key made for them alone."""
    site = app_state.site
    asked = IdempotentRequest(site, caller.caller_id, "give_consent", key, zone, new)
    return await idempotent(app_state.desk, asked, lambda: _recorded(site, zone, new, asked))


def _recorded(site: Site, zone: str, new: NewConsent, asked: IdempotentRequest) -> StoredOutcome:
    notice = site.notice(zone, new.language)
    if notice.sha256 != new.notice_sha256:
        raise RefusedError("the person was shown another notice than the newest; show them that, and ask again")
    person = SubjectKey.from_seed(os.urandom(32))
    given = site.give_consent(
        notice,
        name=new.name,
        jurisdiction=new.jurisdiction,
        key=person,
        valid_days=new.valid_days,
        external_id=new.external_id,
        # Cut off after the commit, whoever asks again gets the receipt, and no consent is left that nobody holds.
        in_transaction=lambda tx, take_home: asked.keep(tx, _given(take_home, person)),
    )
    done = _given(given, person)
    if given.secret is not None:
        given.secret.wipe()
    return done


def _given(given: TakeHome, person: SubjectKey) -> StoredOutcome:
    claims = given.receipt.claims
    answer = ConsentAnswer(
        receipt_id=claims.receipt_id,
        subject_id=claims.subject_id,
        zone=claims.purpose,
        expires_at=claims.expires_at,
        take_home=given.to_json().decode("utf-8"),
        person_key_pem=person.to_pem().decode("ascii"),
        secret=None if given.secret is None else given.secret.reveal(),
    )
    return StoredOutcome(answer, claims.receipt_id, is_told_once=given.secret is not None)


@router.post(
    "/zones/{zone}/enrollments",
    status_code=201,
    response_model=EnrolledAnswer,
    summary="Enroll a person",
    max_body_size=MAX_FORM_BYTES,
)
async def enroll(
    zone: str,
    app_state: RoomsOf,
    caller: Caller,
    receipt: UploadFile,
    photos: Annotated[list[UploadFile], File(min_length=1, max_length=MAX_PHOTOS)],
    secret: UploadFile | None = None,
    allow_few: Annotated[bool, Form(description="accept fewer than 3 photos")] = False,  # noqa: FBT002  a form's field
    key: IdempotencyKey = None,
) -> Response:
    """Make the biometric reference of a person whose consent is in force. Photos are not kept."""
    site = app_state.site
    shown = await whole(receipt) or b""
    half = await whole(secret)
    taken = [await whole(photo) or b"" for photo in photos]
    asked = IdempotentRequest(site, caller.caller_id, "enroll", key, zone, shown, *taken, allow_few)
    return await idempotent(
        app_state.models, asked, lambda: _enroll(site, zone, shown, taken, half, allow_few=allow_few)
    )


def _enroll(
    site: Site, zone: str, receipt: bytes, photos: list[bytes], half: bytes | None, *, allow_few: bool
) -> StoredOutcome:
    claims = TakeHome.parse(receipt).receipt.claims
    if claims.purpose != zone:
        raise ForeignReceiptError("got a receipt of another zone; send it to that zone's enrollments")
    images = [decode(data, f"photo {number}") for number, data in enumerate(photos, 1)]
    handed: list[str] = []

    def hand_over(badge: Badge) -> None:
        handed.append(base64.b64encode(badge.to_bytes()).decode("ascii"))

    secret = None if half is None else PersonSecret.parse(half.decode("ascii", "replace"))
    try:
        done = site.enroll(
            receipt,
            images,
            allow_few=allow_few,
            secret=secret,
            hand_over=hand_over if claims.custody is Custody.BADGE else None,
        )
    finally:
        if secret is not None:
            secret.wipe()
    answer = EnrolledAnswer(
        reference_id=done.reference_id,
        subject_id=done.subject_id,
        zone=done.purpose,
        model=done.model_id,
        photo_count=done.photo_count,
        few=done.few,
        badge=handed[0] if handed else None,
    )
    return StoredOutcome(answer, claims.receipt_id, is_told_once=bool(handed))
