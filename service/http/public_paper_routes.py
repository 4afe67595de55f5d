"""What anyone may read of a site, without a credential: its policy, its notices, and who the controller is.

The pages of the same names return the same JSON to readers that prefer it (`volens.service.http.accept_header`).
"""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter

from volens.consent import Notice
from volens.consent.json_reader import read_json
from volens.rights.public_papers import policy_version, public_controller
from volens.service.http.access import limit_log_reader
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import EXAMPLE_SHA256, ZoneName
from volens.service.http.pagination import NOT_MODIFIED, IfNoneMatch, with_etag

router: Final = APIRouter(tags=["public"])
POLICY_TYPE: Final = "application/ld+json"
CACHE_BUT_ASK: Final = {"Cache-Control": "public, no-cache"}
"""Caches may keep it, and ask before each use whether it still holds: what people are told changes at once."""
_POLICY: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {POLICY_TYPE: {"schema": {"type": "object"}}}},
    **NOT_MODIFIED,
}


class PublicNotice(BaseModel):
    """One notice of a zone, without its text."""

    language: str = Field(examples=["en"])
    version: int = Field(examples=[1])
    sha256: str = Field(description="of the text", examples=[EXAMPLE_SHA256])
    published_at: datetime = Field(examples=["2026-11-30T08:00:00Z"])


class NoticesOfZone(BaseModel):
    """The newest notice of a zone in each language."""

    zone: ZoneName
    title: str = Field(description="what people call the zone; empty if it has no title", examples=["Lobby East"])
    notices: list[PublicNotice]


class PublicNoticeText(PublicNotice):
    """One notice of a zone, with its text."""

    zone: ZoneName
    title: str = Field(description="what people call the zone; empty if it has no title", examples=["Lobby East"])
    text: str = Field(examples=["We compare your face.\n"])


class PublicController(BaseModel):
    """Who is responsible. What the controller did not declare (`volens declare site`) is null."""

    site_id: str = Field(examples=["5c1e"])
    name: str = Field(examples=["Example Ltd"])
    contact: str = Field(examples=["privacy@example.org"])
    address: str | None = None
    representative: str | None = Field(None, description="in the Union (GDPR 27)")
    dpo: str | None = Field(None, description="the data protection officer")
    security_contact: str | None = None
    incident_contact: str | None = None
    incident_protocol: str | None = Field(None, description="what is done when data is lost or stolen")
    storage_place: str | None = None
    transfers: str | None = Field(None, description="to which other countries data goes; 'none' if to none")
    jurisdictions: list[str] = Field(description="for whose people the policy states what holds", examples=[["FR"]])
    key_name: str = Field(description="the name of the site's key in site.pub", examples=["volens/5c1e"])
    key_id: str = Field(description="of the site's newest key, in hexadecimal", examples=["9a3fb014"])


_NOTICES: Final = TypeAdapter(list[NoticesOfZone])


def policy_answer(request: Request, app_state: AppState) -> Response:
    """Return the signed policy. Its ETag does not depend on when it was issued. Call it in a thread."""
    data = app_state.site.clocks.signed_policy()
    version = policy_version(read_json(data)).encode("ascii")
    return with_etag(request, data, media_type=POLICY_TYPE, version=version, headers=CACHE_BUT_ASK)


def notices_answer(request: Request, app_state: AppState) -> Response:
    """Return the notices of all zones, without their texts. Call it in a thread."""
    zones = app_state.site.zones
    found = [
        NoticesOfZone(zone=one.purpose, title=one.title, notices=[_of(each) for each in zones.notices(one.purpose)])
        for one in zones.all()
    ]
    return with_etag(request, _NOTICES.dump_json(found), headers=CACHE_BUT_ASK)


def notice_answer(request: Request, app_state: AppState, zone: str, notice: Notice) -> Response:
    """Return a notice of a zone with its text. Call it in a thread."""
    found = app_state.site.zones.get(zone)
    answer = PublicNoticeText(zone=found.purpose, title=found.title, text=notice.text, **_of(notice).model_dump())
    return with_etag(request, answer.model_dump_json().encode("utf-8"), headers=CACHE_BUT_ASK)


def controller_answer(request: Request, app_state: AppState) -> Response:
    """Return who the controller is. Call it in a thread."""
    answer = PublicController(**controller_facts(app_state))
    return with_etag(request, answer.model_dump_json().encode("utf-8"), headers=CACHE_BUT_ASK)


def controller_facts(app_state: AppState) -> dict[str, Any]:
    """Return what `PublicController` has; what was not declared is left out."""
    site = app_state.site
    return public_controller(site.installation.store, site.verifier_key)


@router.get("/policy", summary="The signed retention policy", responses=_POLICY, response_class=Response)
async def read_public_policy(request: Request, app_state: SharedState, _tags: IfNoneMatch = None) -> Response:
    """Return the policy: zones, laws, rights, periods, recipients (JSON-LD). Check its signature with site.pub."""
    limit_log_reader(request, app_state)
    return await app_state.page_pool.run(lambda: policy_answer(request, app_state))


@router.get("/notices", summary="The notices of all zones", response_model=list[NoticesOfZone], responses=NOT_MODIFIED)
async def list_public_notices(request: Request, app_state: SharedState, _tags: IfNoneMatch = None) -> Response:
    """Return what people read before they agree, by zone and language, without the texts."""
    limit_log_reader(request, app_state)
    return await app_state.page_pool.run(lambda: notices_answer(request, app_state))


@router.get(
    "/notices/{zone}", summary="A notice with its text", response_model=PublicNoticeText, responses=NOT_MODIFIED
)
async def read_public_notice(
    zone: str,
    request: Request,
    app_state: SharedState,
    language: Annotated[str | None, Query(max_length=100, description="such as en or fr-CA")] = None,
    _tags: IfNoneMatch = None,
) -> Response:
    """Return the newest notice of a zone in a language. Without a language the zone must have only one."""
    limit_log_reader(request, app_state)
    return await app_state.page_pool.run(
        lambda: notice_answer(request, app_state, zone, app_state.site.notice(zone, language))
    )


@router.get("/controller", summary="Who is responsible", response_model=PublicController, responses=NOT_MODIFIED)
async def read_controller(request: Request, app_state: SharedState, _tags: IfNoneMatch = None) -> Response:
    """Return the controller with contacts, as far as they were declared, and the key of the site."""
    limit_log_reader(request, app_state)
    return await app_state.page_pool.run(lambda: controller_answer(request, app_state))


def _of(notice: Notice) -> PublicNotice:
    return PublicNotice(
        language=notice.language, version=notice.version, sha256=notice.sha256, published_at=notice.published_at
    )
