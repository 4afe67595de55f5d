"""Pages of an invitation: the link opens it, the person reads what it is about, and says yes or no."""

from datetime import timedelta
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field

from volens import Site
from volens.consent.invitation import InvitationEndedError
from volens.consent.receipt_offer import consent_words
from volens.enroll import InvitationView
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import RequestBody
from volens.service.http.problems import MEDIA_TYPE, problem_of
from volens.service.http.same_origin import same_origin
from volens.service.http.web_session import open_session, start_session
from volens.service.web.invitation_session import LIFETIME, Invited, InvitedSession
from volens.service.web.page_response import render, zone_name
from volens.service.web.page_route import PageRoute

router: Final = APIRouter(route_class=PageRoute)

_SEE_OTHER: Final = 303
_REFUSED: Final = "refused"
STEPS: Final = 5


class ShownToken(RequestBody):
    """What stood after the ``#`` of the link."""

    token: str = Field(max_length=200)


class NextPage(BaseModel):
    """Where the script goes on."""

    next: str


@router.get("/invitation", name="invitation_page")
async def invitation_page(request: Request, app_state: SharedState) -> Response:
    """Show the page to which the link leads; its script sends the token, which is not in the address."""
    return await app_state.page_pool.run(partial(render, request, "person/open.html"))


@router.post("/invitation/open", name="open_invitation", dependencies=[Depends(same_origin)])
async def open_invitation(request: Request, app_state: SharedState, shown: ShownToken) -> Response:
    """Exchange a token for a session of this browser. The invitation is not used up by that."""
    try:
        await app_state.desk_pool.run(lambda: app_state.site.invitations.open(shown.token))
    except InvitationEndedError as ended:  # only the holder of the token learns how
        problem = problem_of(request, ended) | {"state": ended.state.value}
        return JSONResponse(problem, problem["status"], media_type=MEDIA_TYPE)
    response = JSONResponse(NextPage(next="/invitation/about").model_dump())
    InvitedSession(shown.token).start(request, response)
    return response


@router.get("/invitation/about", name="about_page")
async def about_page(request: Request, app_state: SharedState, invited: Invited) -> Response:
    """Say in five lines what the person is asked, with two equal buttons."""
    return await _page(request, app_state, invited, "person/about.html")


@router.get("/invitation/notice", name="invitation_notice_page")
async def invitation_notice_page(request: Request, app_state: SharedState, invited: Invited) -> Response:
    """Show the whole notice."""
    return await _page(request, app_state, invited, "person/notice.html")


@router.post("/invitation/no", name="refuse_invitation", dependencies=[Depends(same_origin)])
async def refuse_invitation(request: Request, app_state: SharedState, invited: Invited) -> Response:
    """Take a no. The receipt for it is made now, and only the browser holds it."""
    invitations = app_state.site.invitations
    receipt = await app_state.desk_pool.run(lambda: invitations.refuse(invited.token, receipt_wanted=True))
    response = RedirectResponse("/invitation/refused", _SEE_OTHER)
    InvitedSession.end(request, response)
    start_session(request, response, _REFUSED, {"receipt": (receipt or b"").decode("ascii")}, LIFETIME)
    return response


@router.get("/invitation/refused", name="refused_page")
async def refused_page(request: Request, app_state: SharedState) -> Response:
    """Thank the person who said no."""
    has_receipt = open_session(request, _REFUSED) is not None
    return await app_state.page_pool.run(partial(render, request, "person/refused.html", has_receipt=has_receipt))


@router.get("/invitation/refused/receipt", name="refusal_receipt")
async def refusal_receipt(request: Request) -> Response:
    """Return the signed receipt for a no."""
    facts = open_session(request, _REFUSED)
    if facts is None:
        return RedirectResponse("/invitation/refused", _SEE_OTHER)
    headers = {"Content-Disposition": 'attachment; filename="my-no.json"'}
    return Response(facts["receipt"], media_type="application/json", headers=headers)


async def _page(request: Request, app_state: AppState, invited: InvitedSession, template: str) -> Response:
    def page() -> Response:
        view = app_state.site.invitations.open(invited.token)
        return render(request, template, **facts_of(app_state.site, view))

    return await app_state.page_pool.run(page)


def facts_of(site: Site, view: InvitationView) -> dict[str, Any]:
    """Return what the pages of an invitation show of it."""
    record = site.declarations.record(view.zone.purpose, view.jurisdiction)
    term = timedelta(days=record.max_term_days if view.valid_days is None else view.valid_days)
    if view.valid_until is not None:
        term = view.valid_until - site.now()
    return {
        "view": view,
        "zone": view.zone,
        "zone_name": zone_name(view.zone),
        "days": term.days,
        "consent_words": consent_words(record, view.notice.language, term),
        "recipients": ", ".join(one.name for one in record.recipients),
        "steps": STEPS,
    }
