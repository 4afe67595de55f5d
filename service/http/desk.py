"""What a reception desk does: read a notice out, take a yes, take photos. And what the operator prepares for it."""

import base64
import os
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from consent import Badge, Custody, ForeignReceiptError, Notice, PersonSecret, RefusedError, SubjectKey, TakeHome
from enroll import decode
from service.http.access import Caller, GuardedRoute
from service.http.bodies import MAX_FORM_BYTES, MAX_JSON_BYTES, whole
from service.http.rooms import RoomsOf
from volens import Site

router: Final = APIRouter(tags=["desk"], route_class=GuardedRoute)


class ZoneAnswer(BaseModel):
    """A zone, and how many people it knows now."""

    zone: str
    custody: str
    retention_days: int
    live_consents: int
    references: dict[str, int] = Field(description="how many, by model")


class NewZone(BaseModel):
    """A zone to declare."""

    model_config = ConfigDict(extra="forbid")
    zone: str = Field(examples=["lobby"])
    custody: str = Field(description="'operator', 'subject_key' or 'badge'", examples=["operator"])
    justification: str | None = Field(None, examples=["doors without keys for staff who want that"])
    alternative: str | None = Field(None, examples=["badge at the same door"])
    retention_days: int | None = Field(None, examples=[365])
    match_history_days: int = 90


class NoticeAnswer(BaseModel):
    """What a person is shown before they agree."""

    zone: str
    version: int
    language: str
    sha256: str = Field(description="name it when the consent is given: it was this text that was shown")
    text: str


class NewNotice(BaseModel):
    """The next version of a zone's notice."""

    model_config = ConfigDict(extra="forbid")
    language: str = Field(examples=["en"])
    text: str
    supersedes_within_days: int | None = Field(None, description="whoever agreed to an older one has so many days")


class NewConsent(BaseModel):
    """A yes."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(description="kept sealed, gone with the consent", examples=["Ada Example"])
    jurisdiction: str = Field(description="whose law protects the person: ISO 3166", examples=["FR"])
    notice_sha256: str = Field(description="of the notice that the person was shown and said yes to")
    language: str | None = Field(None, description="of that notice")
    external_id: str | None = Field(None, description="what the staff list calls the person; only a keyed hash is kept")
    valid_days: int | None = Field(None, description="the term that the person wants; else the zone's retention")


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


@router.get("/zones", summary="The zones, in numbers")
async def list_zones(rooms: RoomsOf, caller: Caller) -> list[ZoneAnswer]:
    """Return the zones that the caller's credential is good for."""
    status = await rooms.desk.do(rooms.site.status)
    return [
        ZoneAnswer(
            zone=one.zone.purpose,
            custody=one.zone.custody,
            retention_days=one.zone.retention_days,
            live_consents=one.live_consents,
            references=dict(one.references),
        )
        for one in status.zones
        if caller.purpose in {None, one.zone.purpose}
    ]


@router.post("/zones", status_code=201, summary="Declare a zone", max_body_size=MAX_JSON_BYTES)
async def add_zone(rooms: RoomsOf, _caller: Caller, new: NewZone) -> ZoneAnswer:
    """Declare what faces are used for in a place, and why. Nobody is in it yet."""
    site = rooms.site
    fields = new.model_dump()
    name = fields.pop("zone")
    zone = await rooms.desk.do(lambda: site.add_zone(name, **fields))
    return ZoneAnswer(
        zone=zone.purpose, custody=zone.custody, retention_days=zone.retention_days, live_consents=0, references={}
    )


@router.get("/zones/{zone}/notice", summary="What to show a person before they agree")
async def read_notice(zone: str, rooms: RoomsOf, _caller: Caller, language: str | None = None) -> NoticeAnswer:
    """Return the newest notice of a zone."""
    site = rooms.site
    return _notice(await rooms.desk.do(lambda: site.notice(zone, language)))


@router.post("/zones/{zone}/notices", status_code=201, summary="Publish a notice", max_body_size=512 * 2**10)
async def publish_notice(zone: str, rooms: RoomsOf, _caller: Caller, new: NewNotice) -> NoticeAnswer:
    """Publish the next version of a zone's notice."""
    site = rooms.site
    text = new.text.encode("utf-8", "surrogatepass")
    published = await rooms.desk.do(
        lambda: site.publish_notice(
            zone, language=new.language, text=text, supersedes_within_days=new.supersedes_within_days
        )
    )
    return _notice(published)


@router.post("/zones/{zone}/consents", status_code=201, summary="Record a yes", max_body_size=MAX_JSON_BYTES)
async def give_consent(zone: str, rooms: RoomsOf, _caller: Caller, new: NewConsent) -> ConsentAnswer:
    """Record the consent of a person who was shown the notice and said yes, with a key made for them alone."""
    site = rooms.site

    def record() -> ConsentAnswer:
        notice = site.notice(zone, new.language)
        if notice.sha256 != new.notice_sha256:
            raise RefusedError("the person was shown another notice than the newest; show them that, and ask again")
        key = SubjectKey.from_seed(os.urandom(32))
        given = site.give_consent(
            notice,
            name=new.name,
            jurisdiction=new.jurisdiction,
            key=key,
            valid_days=new.valid_days,
            external_id=new.external_id,
        )
        claims = given.receipt.claims
        secret = None if given.secret is None else given.secret.reveal()
        if given.secret is not None:
            given.secret.wipe()
        return ConsentAnswer(
            receipt_id=claims.receipt_id,
            subject_id=claims.subject_id,
            zone=claims.purpose,
            expires_at=claims.expires_at,
            take_home=given.to_json().decode("utf-8"),
            person_key_pem=key.to_pem().decode("ascii"),
            secret=secret,
        )

    return await rooms.desk.do(record)


@router.post("/zones/{zone}/enrollments", status_code=201, summary="Enroll a person", max_body_size=MAX_FORM_BYTES)
async def enroll(
    zone: str,
    rooms: RoomsOf,
    _caller: Caller,
    receipt: UploadFile,
    photos: list[UploadFile],
    secret: UploadFile | None = None,
    allow_few: Annotated[bool, Form(description="accept fewer than 3 photos")] = False,  # noqa: FBT002  a form's field
) -> EnrolledAnswer:
    """Make the biometric reference of a person whose consent is in force. Photos are not kept."""
    site = rooms.site
    shown = await whole(receipt) or b""
    half = await whole(secret)
    taken = [await whole(photo) or b"" for photo in photos]
    return await rooms.models.do(lambda: _enroll(site, zone, shown, taken, half, allow_few=allow_few))


def _enroll(
    site: Site, zone: str, receipt: bytes, photos: list[bytes], half: bytes | None, *, allow_few: bool
) -> EnrolledAnswer:
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
    return EnrolledAnswer(
        reference_id=done.reference_id,
        subject_id=done.subject_id,
        zone=done.purpose,
        model=done.model_id,
        photo_count=done.photo_count,
        few=done.few,
        badge=handed[0] if handed else None,
    )


def _notice(notice: Notice) -> NoticeAnswer:
    return NoticeAnswer(
        zone=notice.purpose,
        version=notice.version,
        language=notice.language,
        sha256=notice.sha256,
        text=notice.text,
    )
