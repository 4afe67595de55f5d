"""Pages on which people see their own consents and end them: behind the QR code of the receipt.

The code is in the fragment of the address, so a script hands it over (`volens.service.web.my_data_actions`). Everything
after that is readable without a script.
"""

from datetime import timedelta
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from volens.consent import Custody, Purpose
from volens.erase.pages import PageWords
from volens.rights import ErasureStage, OwnConsent, OwnConsents
from volens.rights.people_directory import EndedConsent
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import IdInPath
from volens.service.web.my_data_session import ENTRY, Mine, OwnPageRoute, OwnSession
from volens.service.web.page_language import language_of
from volens.service.web.page_response import render, zone_name
from volens.service.web.page_route import PageRoute
from volens.store.people.people_list import ConsentState

entry: Final = APIRouter(route_class=PageRoute)
router: Final = APIRouter(route_class=OwnPageRoute)
_ONE: Final = "/me/consents/{receipt_id}"
_PARTS: Final = frozenset({"details", "name", "download", "receipt"})
_RUNNING: Final = frozenset({ErasureStage.PENDING, ErasureStage.RUNNING})


@entry.get(ENTRY, name="my_data_entry")
async def enter(request: Request, app_state: SharedState, closed: bool = False) -> Response:  # noqa: FBT001, FBT002  a query parameter
    """Ask for the code. The page is the same for everyone; it depends on no person."""
    has_session = OwnSession.of(request) is not None
    shown = partial(render, request, "my_data/entry.html", has_session=has_session, was_closed=closed)
    return await app_state.page_pool.run(shown)


@router.get("/me/data", name="my_data")
async def overview(request: Request, app_state: SharedState, mine: Mine) -> Response:
    """Show the consents of this person: the only one at once, several as a list."""

    def show() -> Response:
        own = app_state.site.rights.own.consents(mine.shown)
        if len(own.in_force) == 1 and own.in_force[0].facts.receipt_id == own.shown:
            return _consent(request, app_state, own, own.in_force[0])
        ended = next((one for one in own.ended if one.receipt_id == own.shown), None)
        if ended is not None:
            return _ended(request, app_state, own, ended)
        return own_page(request, "overview", own, consents=own.in_force)

    return mine.keep(request, await app_state.page_pool.run(show))


@router.get(_ONE, name="my_consent")
async def consentown_page(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Show one consent of this person, in force or ended."""

    def show() -> Response:
        own = app_state.site.rights.own.consents(mine.shown)
        found = own.one(receipt_id)
        if isinstance(found, EndedConsent):
            return _ended(request, app_state, own, found)
        return _consent(request, app_state, own, found)

    return mine.keep(request, await app_state.page_pool.run(show))


@router.get(f"{_ONE}/withdrawn", name="my_erasure")
async def erasureown_page(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Show what is gone and what still runs after the end of a consent."""

    def show() -> Response:
        site = app_state.site
        own = site.rights.own.consents(mine.shown)
        progress = site.rights.own.progress(site.rights.own.check(mine.shown, receipt_id))
        if progress.stage is ErasureStage.IN_FORCE:
            return RedirectResponse(f"/me/consents/{receipt_id}", 303)
        return own_page(
            request,
            "withdrawn",
            own,
            progress=progress,
            is_running=progress.stage in _RUNNING,
            now=site.now(),
            newer=[one for one in own.in_force if one.facts.receipt_id != receipt_id],
        )

    return mine.keep(request, await app_state.page_pool.run(show))


@router.get(f"{_ONE}/{{about}}", name="my_consent_part")
async def partown_page(
    request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath, about: str
) -> Response:
    """Show one thing about a consent in force; of one that has ended, the page that says so."""
    if about not in _PARTS:
        raise HTTPException(404)

    def show() -> Response:
        own = app_state.site.rights.own.consents(mine.shown)
        found = own.one(receipt_id)
        if isinstance(found, EndedConsent) or found.is_stopped:
            return RedirectResponse(f"/me/consents/{receipt_id}", 303)
        has_code = mine.code is not None and own.shown == receipt_id
        return own_page(
            request,
            about,
            own,
            consent=found,
            zone=found.zone,
            has_code=has_code,
            is_done="done" in request.query_params,
            open_request=app_state.site.rights.own.open_request(found.facts.receipt_id),
        )

    return mine.keep(request, await app_state.page_pool.run(show))


def _consent(request: Request, app_state: AppState, own: OwnConsents, one: OwnConsent) -> Response:
    if one.is_stopped:
        return RedirectResponse(f"/me/consents/{one.facts.receipt_id}/withdrawn", 303)
    days_left = -((app_state.site.now() - one.facts.ends_at) // timedelta(days=1))  # a day that has begun counts
    others = [other for other in own.in_force if other is not one]
    since = one.facts.restricted_at
    stop = None if since is None else app_state.site.zones.stop_at(one.zone.purpose, since)
    values = {"zone": one.zone, "days_left": days_left, "others": others, "stop": stop, "now": app_state.site.now()}
    return own_page(request, "consent", own, consent=one, **values)


def _ended(request: Request, app_state: AppState, own: OwnConsents, one: EndedConsent) -> Response:
    progress = app_state.site.rights.own.progress(one.receipt_id)
    return own_page(request, "ended", own, ended=one, progress=progress, newer=own.in_force)


def own_page(request: Request, name: str, own: OwnConsents, **values: Any) -> Response:  # noqa: ANN401  for the template
    """Return a page of the folder ``my_data`` about the consents of a person; `render` in other words."""

    def called(purpose: Purpose) -> str:
        zone = own.zones.get(purpose)
        return purpose if zone is None else zone_name(zone)

    return render(
        request,
        f"my_data/{name}.html",
        own=own,
        called=called,
        right_words=PageWords("base", language_of(request)),
        states=ConsentState,
        custodies=Custody,
        stages=ErasureStage,
        **values,
    )


router.include_router(entry)
