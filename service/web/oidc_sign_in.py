"""Sign-in of staff at the house's OpenID Connect issuer; the steps are those of `volens.service.oidc.code_flow`.

The issuer sends the browser back from another site, with which browsers send no ``SameSite=Strict`` cookie. So the page
it comes back to has nothing to do with a session: its script sends what the issuer said, from this site.
"""

from functools import partial
from typing import Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException

from volens.consent import InputError, RefusedError
from volens.consent.jws import b64url
from volens.consent.reason import Reason
from volens.service.http.access import CredentialError, limit_address
from volens.service.http.app_state import AppState, SharedState, StaffIssuer
from volens.service.http.bodies import RequestBody
from volens.service.http.same_origin import same_origin
from volens.service.http.staff_access import start_issuer_session
from volens.service.http.web_session import SessionEndedError, end_session, open_session, start_session
from volens.service.oidc.code_flow import MAX_CODE_CHARACTERS, CodeRequest, SignInRefusedError, exchange
from volens.service.oidc.issuer_discovery import IssuerLine
from volens.service.oidc.issuer_token import TokenError
from volens.service.web.page_response import render
from volens.service.web.page_route import PageRoute
from volens.service.web.staff_pages import CHALLENGE_LIFETIME, FIRST_PAGE, NextStaffPage, our_page
from volens.store.programs import Role

CALLBACK: Final = "/staff/oidc"
_KIND: Final = "staff-oidc"
_RANDOM_BYTES: Final = 32
_NOT_SIGNED_IN: Final = "the issuer did not sign you in for this site; try again, or ask the operator for a role"

router: Final = APIRouter(route_class=PageRoute)


class BeginAtIssuer(RequestBody):
    """Where to go after the sign-in."""

    next: str | None = Field(None, max_length=200)


class IssuerAnswer(RequestBody):
    """What the issuer wrote into the address."""

    code: str = Field(max_length=MAX_CODE_CHARACTERS)
    state: str = Field(max_length=200)


@router.post("/staff/oidc/begin", name="begin_at_issuer", dependencies=[Depends(same_origin)])
async def begin_at_issuer(request: Request, app_state: SharedState, wanted: BeginAtIssuer) -> Response:
    """Return the address at the issuer (step 1), and keep what the answer must fit."""
    issuer = _issuer(app_state)
    limit_address(request, app_state)  # each one costs a request to the issuer

    def begin() -> Response:
        random = app_state.site.installation.store.random
        asked = CodeRequest(*(b64url(random(_RANDOM_BYTES)) for _ in range(3)))
        (endpoint,) = IssuerLine(issuer.client.trust).addresses("authorization_endpoint")
        address = asked.url(issuer.client, endpoint, _callback(app_state))
        response = JSONResponse(NextStaffPage(next=address).model_dump())
        facts = {"state": asked.state, "nonce": asked.nonce, "verifier": asked.verifier}
        back = our_page(wanted.next)
        facts |= {} if back is None else {"next": back}
        start_session(request, response, _KIND, facts, CHALLENGE_LIFETIME)
        return response

    return await app_state.desk_pool.run(begin)


@router.get(CALLBACK, name="issuer_page")
async def issuer_page(request: Request, app_state: SharedState) -> Response:
    """Show the page to which the issuer sends the browser; its script sends code and state."""
    _issuer(app_state)
    return await app_state.page_pool.run(partial(render, request, "staff/issuer.html"))


@router.post(CALLBACK, name="sign_in_at_issuer", dependencies=[Depends(same_origin)])
async def sign_in_at_issuer(request: Request, app_state: SharedState, answer: IssuerAnswer) -> Response:
    """Do steps 2 to 4, and start the session."""
    issuer = _issuer(app_state)
    limit_address(request, app_state, count=False)
    kept = open_session(request, _KIND)
    if kept is None:
        raise SessionEndedError(
            "this was begun more than five minutes ago; start again", reason=Reason.BEGUN_TOO_LONG_AGO
        )
    asked = CodeRequest(kept["state"], kept["nonce"], kept["verifier"])
    line = IssuerLine(issuer.client.trust)
    try:
        asked.check_state(answer.state)
        token = await app_state.desk_pool.run(
            lambda: exchange(issuer.client, line, answer.code, asked, _callback(app_state))
        )
        found = await issuer.keys.verify(token, app_state.site.now())
        asked.check_nonce(found)
        if found.role is Role.DOOR:
            raise CredentialError(_NOT_SIGNED_IN)
    except (TokenError, RefusedError) as error:
        limit_address(request, app_state)
        raise error if isinstance(error, SignInRefusedError) else CredentialError(_NOT_SIGNED_IN) from None
    response = JSONResponse(NextStaffPage(next=kept.get("next", FIRST_PAGE)).model_dump())
    start_issuer_session(request, response, found)
    end_session(request, response, _KIND)
    return response


def _issuer(app_state: AppState) -> StaffIssuer:
    if app_state.staff_issuer is None:
        raise HTTPException(404)
    return app_state.staff_issuer


def _callback(app_state: AppState) -> str:
    party = app_state.site.defaults.public_url()
    if party is None:
        raise InputError(
            "this site has no public address; the operator sets it with 'volens defaults set'",
            reason=Reason.NO_PUBLIC_URL,
        )
    return f"{party.origin}{CALLBACK}"
