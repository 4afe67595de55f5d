"""Pages that anyone may read: what is public, the controller, the retention policy, and the notices of the zones.

Policy, notices and controller are JSON to readers that prefer it: the answers of `/v1/policy` and its neighbours.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from babel import Locale, UnknownLocaleError
from fastapi import APIRouter, Request, Response

from volens.audit.tiles import TILE_WIDTH, Tile
from volens.consent import Notice, Purpose
from volens.erase.pages import PageLanguage
from volens.rights import policy_body
from volens.service.http.accept_header import prefers_json
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.public_paper_routes import (
    controller_answer,
    controller_facts,
    notice_answer,
    notices_answer,
    policy_answer,
)
from volens.service.web.page_language import language_of
from volens.service.web.page_response import render, zone_name
from volens.service.web.page_route import PageRoute

router: Final = APIRouter(route_class=PageRoute)


@router.get("/public", name="public_page")
async def public_page(request: Request, app_state: SharedState) -> Response:
    """List what needs no credential: key, log, policy, notices, contact."""

    def page() -> Response:
        site = app_state.site
        size = int(app_state.public_log.checkpoint().split("\n")[1])
        return render(
            request,
            "verify/public_page.html",
            key_name=site.verifier_key.name,
            key_id=site.verifier_key.key_id.hex(),
            log_size=size,
            first_tile=_first_tile(size),
            zones=_listed(app_state),
            language_name=language_name,
            has_contact=app_state.security_txt() is not None,
        )

    return await app_state.page_pool.run(page)


@router.get("/controller", name="controller_page")
async def controller_page(request: Request, app_state: SharedState) -> Response:
    """Show who is responsible, and whom to ask about what."""

    def page() -> Response:
        if prefers_json(request):
            return controller_answer(request, app_state)
        return render(request, "verify/controller_page.html", facts=controller_facts(app_state))

    return await negotiated(app_state, page)


@router.get("/policy", name="policy_page")
async def policy_page(request: Request, app_state: SharedState) -> Response:
    """Show the retention policy."""

    def page() -> Response:
        if prefers_json(request):
            return policy_answer(request, app_state)
        body = policy_body(app_state.site.clocks.policy(), language_of(request))
        return render(request, "verify/policy_page.html", policy_body=body)

    return await negotiated(app_state, page)


@router.get("/policy.json", name="download_policy")
async def download_policy(request: Request, app_state: SharedState) -> Response:
    """Return the retention policy with the site's signature."""
    return await app_state.page_pool.run(partial(policy_answer, request, app_state))


@router.get("/notices", name="notices_page")
async def notices_page(request: Request, app_state: SharedState) -> Response:
    """List the notices of the zones, with the languages in which they can be read."""

    def page() -> Response:
        if prefers_json(request):
            return notices_answer(request, app_state)
        return render(request, "verify/notices_page.html", zones=_listed(app_state), language_name=language_name)

    return await negotiated(app_state, page)


@router.get("/notices/{zone}", name="notice_page")
async def notice_page(zone: str, request: Request, app_state: SharedState, notice: str | None = None) -> Response:
    """Show the newest notice of a zone, in the language that was chosen or else in that of the page."""
    return await negotiated(app_state, partial(_notice_page, zone, request, app_state, notice))


async def negotiated(app_state: AppState, page: Callable[[], Response]) -> Response:
    """Return a page or JSON, which caches keep apart by the header ``Accept``."""
    answer = await app_state.page_pool.run(page)
    answer.headers["Vary"] = ", ".join(["Accept", *filter(None, [answer.headers.get("Vary")])])
    return answer


def language_name(tag: str) -> str:
    """Return what a language calls itself; the tag, if it is not known."""
    try:
        return (Locale.parse(tag, sep="-").get_display_name() or tag).capitalize()
    except (UnknownLocaleError, ValueError):
        return tag


def _notice_page(zone: str, request: Request, app_state: AppState, chosen: str | None) -> Response:
    site = app_state.site
    found, notices = site.zones.get(zone), site.zones.notices(zone)
    shown = site.notice(zone, chosen) if chosen or not notices else _for_reader(notices, language_of(request))
    if prefers_json(request):
        return notice_answer(request, app_state, zone, shown)
    others = [one for one in notices if one.language != shown.language]
    return render(
        request,
        "verify/notice_page.html",
        zone=found.purpose,
        name=zone_name(found),
        notice=shown,
        others=others,
        language_name=language_name,
    )


def _listed(app_state: AppState) -> list[tuple[Purpose, str, list[Notice]]]:
    zones = app_state.site.zones
    return [(zone.purpose, zone_name(zone), zones.notices(zone.purpose)) for zone in zones.all()]


def _for_reader(notices: list[Notice], language: PageLanguage) -> Notice:
    return next((one for one in notices if one.language.partition("-")[0] == language), notices[0])


def _first_tile(size: int) -> str | None:
    return f"/v1/log/{Tile(0, 0, min(size, TILE_WIDTH)).path}" if size else None
