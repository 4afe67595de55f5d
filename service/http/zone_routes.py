"""What a site promises before anybody is asked: zones and their notices, which the operator prepares."""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictInt, TypeAdapter

from volens.consent import Notice, Zone
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import RoomsOf
from volens.service.http.bodies import MAX_JSON_BYTES
from volens.service.http.idempotency import IdempotencyKey, IdempotentRequest, StoredOutcome, idempotent
from volens.service.http.pagination import NOT_MODIFIED, IfNoneMatch, tagged

MAX_NOTICE_BYTES: Final = 512 * 2**10

router: Final = APIRouter(tags=["zones"], route_class=GuardedRoute)


class ZoneAnswer(BaseModel):
    """A zone, and how many people it knows now."""

    zone: str
    custody: str
    second_factor: str = Field(description="what is asked for besides the face: 'none', 'badge' or 'pin'")
    retention_days: int
    live_consents: int
    references: dict[str, int] = Field(description="how many, by model")

    @classmethod
    def of(cls, zone: Zone, live_consents: int, references: Mapping[str, int]) -> "ZoneAnswer":
        """Say what a zone is, and how many people it knows."""
        return cls(
            zone=zone.purpose,
            custody=zone.custody,
            second_factor=zone.second_factor,
            retention_days=zone.retention_days,
            live_consents=live_consents,
            references=dict(references),
        )


ZONES: Final = TypeAdapter(list[ZoneAnswer])


class NewZone(BaseModel):
    """A zone to declare."""

    model_config = ConfigDict(extra="forbid")
    zone: str = Field(examples=["lobby"])
    custody: str = Field(description="'operator', 'subject_key' or 'badge'", examples=["operator"])
    justification: str | None = Field(None, examples=["doors without keys for staff who want that"])
    alternative: str | None = Field(None, examples=["badge at the same door"])
    retention_days: StrictInt | None = Field(None, examples=[365])
    match_history_days: StrictInt = 90
    second_factor: str = Field("none", description="'none', 'badge' or 'pin'; custody operator only", examples=["pin"])


class NoticeAnswer(BaseModel):
    """What a person is shown before they agree."""

    zone: str
    version: int
    language: str
    sha256: str = Field(description="name it when the consent is given: it was this text that was shown")
    text: str

    @classmethod
    def of(cls, notice: Notice) -> "NoticeAnswer":
        """Say what a notice says."""
        return cls(
            zone=notice.purpose,
            version=notice.version,
            language=notice.language,
            sha256=notice.sha256,
            text=notice.text,
        )


class NewNotice(BaseModel):
    """The next version of a zone's notice."""

    model_config = ConfigDict(extra="forbid")
    language: str = Field(examples=["en"], max_length=100)
    text: str
    supersedes_within_days: StrictInt | None = Field(
        None, description="whoever agreed to an older one has so many days"
    )


@router.get("/zones", summary="The zones, in numbers", response_model=list[ZoneAnswer], responses=NOT_MODIFIED)
async def list_zones(request: Request, app_state: RoomsOf, caller: Caller, _tags: IfNoneMatch = None) -> Response:
    """Return the zones that the caller's credential is good for, by name."""
    status = await app_state.desk.do(app_state.site.status)
    found = [
        ZoneAnswer.of(one.zone, one.live_consents, one.references)
        for one in status.zones
        if caller.purpose in {None, one.zone.purpose}
    ]
    return tagged(request, ZONES.dump_json(found))


@router.post(
    "/zones", status_code=201, response_model=ZoneAnswer, summary="Declare a zone", max_body_size=MAX_JSON_BYTES
)
async def add_zone(app_state: RoomsOf, caller: Caller, new: NewZone, key: IdempotencyKey = None) -> Response:
    """Declare what faces are used for in a place, and why. Nobody is in it yet."""
    site = app_state.site
    fields = new.model_dump()
    name = fields.pop("zone")

    def add() -> StoredOutcome:
        return StoredOutcome(ZoneAnswer.of(site.add_zone(name, **fields), 0, {}))

    return await idempotent(app_state.desk, IdempotentRequest(site, caller.caller_id, "add_zone", key, new), add)


@router.get(
    "/zones/{zone}/notice",
    summary="What to show a person before they agree",
    response_model=NoticeAnswer,
    responses=NOT_MODIFIED,
)
async def read_notice(
    zone: str,
    request: Request,
    app_state: RoomsOf,
    _caller: Caller,
    language: str | None = None,
    _tags: IfNoneMatch = None,
) -> Response:
    """Return the newest notice of a zone."""
    site = app_state.site
    notice = NoticeAnswer.of(await app_state.desk.do(lambda: site.notice(zone, language)))
    return tagged(request, notice.model_dump_json().encode("utf-8"))


@router.post(
    "/zones/{zone}/notices",
    status_code=201,
    response_model=NoticeAnswer,
    summary="Publish a notice",
    max_body_size=MAX_NOTICE_BYTES,
)
async def publish_notice(
    zone: str, app_state: RoomsOf, caller: Caller, new: NewNotice, key: IdempotencyKey = None
) -> Response:
    """Publish the next version of a zone's notice."""
    site = app_state.site
    text = new.text.encode("utf-8", "surrogatepass")

    def publish() -> StoredOutcome:
        published = site.publish_notice(
            zone, language=new.language, text=text, supersedes_within_days=new.supersedes_within_days
        )
        return StoredOutcome(NoticeAnswer.of(published))

    return await idempotent(
        app_state.desk, IdempotentRequest(site, caller.caller_id, "publish_notice", key, zone, new), publish
    )
