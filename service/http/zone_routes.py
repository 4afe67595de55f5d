"""Zones and their notices, which the operator prepares before people are asked for consent."""

from dataclasses import asdict
from datetime import datetime
from typing import Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StrictInt, TypeAdapter

from volens.consent import Zone
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import EXAMPLE_SHA256, RequestBody, ZoneName
from volens.service.http.idempotency import Idempotent, StorableResponse
from volens.service.http.pagination import NOT_MODIFIED, IfNoneMatch, with_etag
from volens.service.http.person_routes import LeaseHolder
from volens.site_status import ZoneStatus

MAX_NOTICE_BYTES: Final = 512 * 2**10

router: Final = APIRouter(tags=["zones"], route_class=GuardedRoute)


class ZoneAnswer(BaseModel):
    """A zone, and its number of people now."""

    zone: ZoneName
    title: str = Field(description="what people call it; empty if it has no title", examples=["Lobby East"])
    state: str = Field(description="'in_use' or 'paused'", examples=["in_use"])
    custody: str = Field(examples=["operator"])
    second_factor: str = Field(
        description="what the zone requires besides the face: 'none', 'badge' or 'pin'", examples=["none"]
    )
    desk_signature: str = Field(
        description="whether receipts may be signed at the desk: 'allowed' or 'refused'", examples=["allowed"]
    )
    fpir: str = Field(
        description="rate of strangers accepted in one look that the zone aims at: '0.1%' or '0.01%'", examples=["0.1%"]
    )
    liveness: str = Field(description="what is done against photos: 'none', 'challenge' or 'pack'", examples=["none"])
    lease_seconds: int = Field(
        description="how long a door without a connection may still decide; 0: not at all", examples=[0]
    )
    after_lease: str = Field(
        description="what it does then: 'closed', or 'badge' (badges are passed on to the panel)", examples=["closed"]
    )
    retention_days: int = Field(examples=[90])
    live_consents: int = Field(examples=[12])
    references: dict[str, int] = Field(description="their number, by model", examples=[{"sface@fb143eea": 11}])
    trigger: str = Field(
        description="what lets its doors compare a face: 'near', 'request', or 'passing' (nothing is needed)",
        examples=["near"],
    )


class ZoneStateAnswer(ZoneAnswer):
    """A zone that was paused, or is in use again; if it is paused, from when on no door of it decides."""

    paused_since: datetime | None = Field(
        description="stopped at the primary: doors that ask match no one; null if it is in use",
        examples=["2026-11-27T08:00:00Z"],
    )
    stopped_everywhere_at: datetime | None = Field(
        description="when no door of the zone matches any more, connected or not; null if it is in use"
    )
    holders: list[LeaseHolder] = Field(description="the doors that held a lease then, as far as is known")


_ZONES: Final = TypeAdapter(list[ZoneAnswer])


class NewZone(RequestBody):
    """A zone to declare."""

    zone: str = Field(examples=["lobby"])
    custody: str = Field(description="'operator', 'subject_key' or 'badge'", examples=["operator"])
    justification: str | None = Field(None, examples=["doors without keys for staff who want that"])
    alternative: str | None = Field(None, examples=["badge at the same door"])
    retention_days: StrictInt | None = Field(None, examples=[90])
    match_history_days: StrictInt = 90
    second_factor: str = Field("none", description="'none', 'badge' or 'pin'; custody operator only", examples=["pin"])
    desk_signature: str = Field(
        "allowed", description="'refused': each person signs with a key of their own, never the desk for them"
    )
    title: str | None = Field(None, description="what people call it; can change", examples=["Lobby East"])
    fpir: str = Field(
        "0.1%", max_length=20, description="rate of strangers accepted in one look: '0.1%' or '0.01%'; can change"
    )
    trigger: str | None = Field(
        None,
        max_length=20,
        description="'near', 'request' or 'passing'; by default 'request' if people show something, else 'near'",
        examples=["near"],
    )
    liveness: str = Field(
        "none",
        max_length=20,
        description="'none', 'challenge' (people turn the head, at kiosks) or 'pack' (a model of the site); can change",
    )
    lease_seconds: StrictInt = Field(
        0, description="how long a door without a connection may still decide: 0, or 5 to 900; can change"
    )


class NewTitle(RequestBody):
    """What people call a zone."""

    title: str = Field(max_length=400, description="at most 80 characters; empty for none", examples=["Lobby East"])
    after_lease: str = Field(
        "closed",
        max_length=20,
        description="what a door without a connection does after its lease: 'closed' or 'badge'",
    )


class NewFpir(RequestBody):
    """The rate of strangers accepted that a zone aims at (FPIR, ISO/IEC 19795-1)."""

    fpir: str = Field(max_length=20, description="'0.1%' or '0.01%', in one look", examples=["0.01%"])


class NewTrigger(RequestBody):
    """What lets the doors of a zone compare a face."""

    trigger: str = Field(
        max_length=20,
        description="'near', 'request', or 'passing', which the newest notices must say",
        examples=["request"],
    )


class NewLiveness(RequestBody):
    """What a zone does against photos of a person (presentation attack detection, ISO/IEC 30107-1)."""

    liveness: str = Field(max_length=20, description="'none', 'challenge' or 'pack'", examples=["challenge"])


class NewLease(RequestBody):
    """How long a door of a zone may decide without a connection."""

    lease_seconds: StrictInt = Field(description="0 (not at all), or 5 to 900", examples=[60])
    after_lease: str | None = Field(
        None, max_length=20, description="'closed' or 'badge'; without it, what it is now", examples=["badge"]
    )


class NewState(RequestBody):
    """Whether a zone is in use."""

    state: Literal["in_use", "paused"] = Field(examples=["paused"])


class NoticeAnswer(BaseModel):
    """The text that a person is shown before they agree."""

    zone: ZoneName
    title: str = Field(description="what people call the zone; empty if it has no title", examples=["Lobby East"])
    version: int = Field(examples=[1])
    language: str = Field(examples=["en"])
    sha256: str = Field(description="send it with the consent: it identifies this text", examples=[EXAMPLE_SHA256])
    text: str = Field(examples=["We compare your face.\n"])


class NewNotice(RequestBody):
    """The next version of a zone's notice."""

    language: str = Field(examples=["en"], max_length=100)
    text: str = Field(examples=["We compare your face.\n"])
    supersedes_within_days: StrictInt | None = Field(
        None, description="consents to an older version end after this number of days"
    )


@router.get("/zones", summary="List the zones, with numbers", response_model=list[ZoneAnswer], responses=NOT_MODIFIED)
async def list_zones(request: Request, app_state: SharedState, caller: Caller, _tags: IfNoneMatch = None) -> Response:
    """Return the zones that the caller may use, by name."""
    status = await app_state.desk_pool.run(app_state.site.status)
    zones = [_answer(one) for one in status.zones if caller.purpose in {None, one.zone.purpose}]
    return with_etag(request, _ZONES.dump_json(zones))


@router.post("/zones", status_code=201, response_model=ZoneAnswer, summary="Declare a zone")
async def add_zone(app_state: SharedState, new: NewZone, idempotent: Idempotent) -> Response:
    """Declare a zone: what faces are used for in a place, and why. It starts without people."""
    site, terms = app_state.site, new.model_dump(exclude={"zone"})

    def add() -> StorableResponse:
        return StorableResponse(_answer(ZoneStatus(site.add_zone(new.zone, **terms), 0, {})))

    return await idempotent.run(app_state.desk_pool, add, new)


@router.put("/zones/{zone}/title", summary="Change the title of a zone")
async def rename_zone(zone: str, app_state: SharedState, new: NewTitle) -> ZoneAnswer:
    """Change what people call a zone. Its name stays, because receipts and certificates have it."""
    return await app_state.desk_pool.run(lambda: _changed(app_state, app_state.site.zones.rename(zone, new.title)))


@router.put("/zones/{zone}/state", summary="Pause a zone, or end its pause")
async def set_zone_state(zone: str, app_state: SharedState, new: NewState) -> ZoneStateAnswer:
    """Pause a zone: nothing is matched or enrolled there, and people can still withdraw. Or end the pause.

    With a pause the leases of its doors are revoked; the answer waits two seconds for doors to say that they obeyed.
    """
    zones = app_state.site.zones
    change = zones.pause if new.state == "paused" else zones.resume

    def carry_out() -> ZoneStateAnswer:
        answer, stop = _changed(app_state, change(zone)), zones.paused(zone, wait=True)
        return ZoneStateAnswer(
            **answer.model_dump(),
            paused_since=None if stop is None else stop.stopped_at,
            stopped_everywhere_at=None if stop is None else stop.stopped_everywhere_at,
            holders=[] if stop is None else [LeaseHolder(**asdict(one)) for one in stop.holders],
        )

    return await app_state.desk_pool.run(carry_out)


@router.put("/zones/{zone}/fpir", summary="Change the rate of strangers accepted (FPIR) that a zone aims at")
async def set_zone_fpir(zone: str, app_state: SharedState, new: NewFpir) -> ZoneAnswer:
    """Change how strict the doors of a zone are, at once: a stricter zone misses more of its own people."""
    return await app_state.desk_pool.run(lambda: _changed(app_state, app_state.site.zones.set_fpir(zone, new.fpir)))


@router.put("/zones/{zone}/trigger", summary="Change what lets the doors of a zone compare a face")
async def set_zone_trigger(zone: str, app_state: SharedState, new: NewTrigger) -> ZoneAnswer:
    """Change whether a person stops near the camera, makes a request, or only passes. A single photo needs none."""
    zones = app_state.site.zones
    return await app_state.desk_pool.run(lambda: _changed(app_state, zones.set_trigger(zone, new.trigger)))


@router.put("/zones/{zone}/liveness", summary="Change what a zone does against photos of a person")
async def set_zone_liveness(zone: str, app_state: SharedState, new: NewLiveness) -> ZoneAnswer:
    """Change the level of liveness, at once: with 'challenge', only kiosks and `volens verify --camera` decide."""
    zones = app_state.site.zones
    return await app_state.desk_pool.run(lambda: _changed(app_state, zones.set_liveness(zone, new.liveness)))


@router.put("/zones/{zone}/lease", summary="Change how long a door may decide without a connection")
async def set_zone_lease(zone: str, app_state: SharedState, new: NewLease) -> ZoneAnswer:
    """Change the term of leases. A longer one holds for people who agree to the next notice; see docs/leases.md."""
    zones = app_state.site.zones

    def carry_out() -> ZoneAnswer:
        changed = zones.set_lease(zone, new.lease_seconds)
        if new.after_lease is not None:
            changed = zones.set_after_lease(zone, new.after_lease)
        return _changed(app_state, changed)

    return await app_state.desk_pool.run(carry_out)


@router.get(
    "/zones/{zone}/notice",
    summary="The notice to show to a person before they agree",
    response_model=NoticeAnswer,
    responses=NOT_MODIFIED,
)
async def read_notice(
    zone: str,
    request: Request,
    app_state: SharedState,
    language: str | None = None,
    _tags: IfNoneMatch = None,
) -> Response:
    """Return the newest notice of a zone."""
    notice, title = await app_state.desk_pool.run(
        lambda: (app_state.site.notice(zone, language), app_state.site.zones.get(zone).title)
    )
    answer = NoticeAnswer(zone=notice.purpose, title=title, **asdict(notice))
    return with_etag(request, answer.model_dump_json().encode("utf-8"))


@router.post(
    "/zones/{zone}/notices",
    status_code=201,
    response_model=NoticeAnswer,
    summary="Publish a notice",
    max_body_size=MAX_NOTICE_BYTES,
)
async def publish_notice(zone: str, app_state: SharedState, new: NewNotice, idempotent: Idempotent) -> Response:
    """Publish the next version of a zone's notice."""
    text = new.text.encode("utf-8", "surrogatepass")

    def publish() -> StorableResponse:
        published = app_state.site.publish_notice(
            zone, language=new.language, text=text, supersedes_within_days=new.supersedes_within_days
        )
        title = app_state.site.zones.get(zone).title
        return StorableResponse(NoticeAnswer(zone=zone, title=title, **asdict(published)))

    return await idempotent.run(app_state.desk_pool, publish, zone, new)


def _changed(app_state: AppState, zone: Zone) -> ZoneAnswer:
    return next(_answer(one) for one in app_state.site.status().zones if one.zone.purpose == zone.purpose)


def _answer(one: ZoneStatus) -> ZoneAnswer:
    references = dict(one.references)
    return ZoneAnswer(**asdict(one.zone), zone=one.zone.purpose, live_consents=one.live_consents, references=references)
