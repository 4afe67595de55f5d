"""Sign-in of members of staff with a passkey, and the making of that passkey after a link was opened.

1. `begin` gives the browser a challenge, which a sealed cookie keeps for five minutes.
2. The browser signs it; the signature is verified as that over a receipt is (`PasskeyAssertion`), with the public key
   that was recorded for the passkey. Who has no passkey in force gets one answer, whatever the reason.
3. The session replaces the browser's earlier one, so a session that was fixed before gains nothing.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field

from volens.consent import InputError, RefusedError, TamperError
from volens.consent.jws import b64url, from_b64url
from volens.consent.passkey_assertion import PasskeyAssertion
from volens.consent.reason import Reason
from volens.consent.relying_party import RelyingParty
from volens.service.http.access import CredentialError, limit_address
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import RequestBody
from volens.service.http.same_origin import same_origin
from volens.service.http.staff_access import SignedInStaff, end_staff_session, start_passkey_session
from volens.service.http.web_session import SessionEndedError, end_session, open_session, start_session
from volens.service.passkey_registration import CHALLENGE_BYTES, creation_options, read_registration
from volens.service.web.page_response import render
from volens.service.web.page_route import PageRoute
from volens.service.web.staff_session import HOMES, SIGN_IN
from volens.store.programs.staff import MAX_PASSKEY_ID_CHARACTERS, StaffPasskey

CHALLENGE_LIFETIME: Final = timedelta(minutes=5)
_CHALLENGE: Final = "staff-challenge"
FIRST_PAGE: Final = "/staff/home"
_OUR_PAGES: Final = re.compile(r"/(desk|officer|operator)(/[A-Za-z0-9_-]+)*")
"""The only pages to which the sign-in leads back."""
_SEE_OTHER: Final = 303
_NOT_SIGNED_IN: Final = "this passkey opens nothing here; use another one, or ask the operator for a link"
_NO_ADDRESS: Final = (
    "this site has no public address, so no one can sign in with a passkey; the operator sets it with "
    "'volens defaults set --public-url https://HOST'"
)

router: Final = APIRouter(route_class=PageRoute)


class ShownLink(RequestBody):
    """What stood after the ``#`` of the link."""

    token: str = Field(max_length=200)


class MadePasskey(ShownLink):
    """What the browser returned for a new passkey."""

    registration: dict[str, Any]


class SignedChallenge(RequestBody):
    """What ``navigator.credentials.get`` returned, each part in base64url without padding."""

    id: str = Field(pattern="^[A-Za-z0-9_-]+$", max_length=MAX_PASSKEY_ID_CHARACTERS)
    authenticator_data: str = Field(max_length=8192)
    client_data_json: str = Field(max_length=8192)
    signature: str = Field(max_length=1024)
    next: str | None = Field(None, max_length=200)


class SignInOptions(BaseModel):
    """``PublicKeyCredentialRequestOptions``, as far as they differ from one sign-in to the next."""

    challenge: str
    rp_id: str


class NextStaffPage(BaseModel):
    """Where the script goes on."""

    next: str


def our_page(address: str | None) -> str | None:
    """Return the address of a page of staff; None for every other address, so that no one is led elsewhere."""
    return address if address is not None and _OUR_PAGES.fullmatch(address) else None


@router.get("/staff", name="staff_page")
async def staff_page(request: Request, app_state: SharedState, next: str | None = None) -> Response:  # noqa: A002
    """Show the sign-in; with a link's token after the ``#``, the page on which the passkey is made."""
    back = our_page(next)
    page = partial(render, request, "staff/sign_in.html", back=back, has_issuer=app_state.staff_issuer is not None)
    return await app_state.page_pool.run(page)


@router.post("/staff/sign-in/begin", name="begin_sign_in", dependencies=[Depends(same_origin)])
async def begin_sign_in(request: Request, app_state: SharedState) -> Response:
    """Return a challenge for the browser's passkey."""

    def begin() -> Response:
        challenge = app_state.site.installation.store.random(CHALLENGE_BYTES)
        # `PasskeyAssertion` verifies a signature over a document, whose hash is what the browser calls the challenge.
        options = SignInOptions(challenge=b64url(sha256(challenge).digest()), rp_id=_party(app_state).rp_id)
        response = JSONResponse(options.model_dump())
        _keep_challenge(request, response, challenge)
        return response

    return await app_state.page_pool.run(begin)


@router.post("/staff/sign-in", name="sign_in", dependencies=[Depends(same_origin)])
async def sign_in(request: Request, app_state: SharedState, signed: SignedChallenge) -> Response:
    """Verify the passkey's signature, and start the session."""
    limit_address(request, app_state, count=False)

    def verified() -> StaffPasskey:
        return _verified(app_state, _kept_challenge(request), signed)

    try:
        passkey = await app_state.page_pool.run(verified)
    except (RefusedError, InputError, TamperError) as error:
        limit_address(request, app_state)
        if isinstance(error, SessionEndedError):
            raise
        raise CredentialError(_NOT_SIGNED_IN) from None
    return _signed_in(request, passkey, our_page(signed.next) or FIRST_PAGE)


@router.post("/staff/link", name="open_staff_link", dependencies=[Depends(same_origin)])
async def open_staff_link(request: Request, app_state: SharedState, shown: ShownLink) -> Response:
    """Return what the browser needs to make the passkey of the member whose link was opened."""
    limit_address(request, app_state, count=False)

    def options() -> Response:
        site = app_state.site
        credential = site.programs.staff.of_link(shown.token)
        random = site.installation.store.random
        challenge = random(CHALLENGE_BYTES)
        name = f"{site.installation.store.site.controller.name} · {credential.label}"
        party = _party(app_state)
        response = JSONResponse(
            {
                "label": credential.label,
                "role": credential.role.value,
                "zone": credential.purpose,
                "options": creation_options(party, name, challenge, random, is_sign_in=True),
            }
        )
        _keep_challenge(request, response, challenge)
        return response

    return await _counting_refusals(request, app_state, options)


@router.post("/staff/passkey", name="register_staff_passkey", dependencies=[Depends(same_origin)])
async def register_staff_passkey(request: Request, app_state: SharedState, made: MadePasskey) -> Response:
    """Record the member's new passkey, use up the link, and sign the member in."""
    limit_address(request, app_state, count=False)

    def register() -> Response:
        challenge = _kept_challenge(request)
        found = read_registration(made.registration, challenge=challenge, relying_party=_party(app_state))
        staff = app_state.site.programs.staff
        passkey = staff.register(made.token, b64url(found.credential_id), found.public_key)
        return _signed_in(request, passkey, FIRST_PAGE)

    return await _counting_refusals(request, app_state, register)


@router.get("/staff/home", name="staff_home")
async def staff_home(request: Request, app_state: SharedState) -> Response:
    """Lead a member to the first page of their role."""
    member = SignedInStaff.of(request)
    if member is None:
        return RedirectResponse(SIGN_IN, _SEE_OTHER)
    home = HOMES.get(member.caller.role)
    if home is not None:
        return RedirectResponse(home, _SEE_OTHER)
    request.state.staff = member
    return await app_state.page_pool.run(partial(render, request, "staff/no_page.html", staff=member, section=None))


@router.post("/staff/sign-out", name="sign_out", dependencies=[Depends(same_origin)])
async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    response = RedirectResponse(SIGN_IN, _SEE_OTHER)
    end_staff_session(request, response)
    return response


async def _counting_refusals(request: Request, app_state: AppState, act: Callable[[], Response]) -> Response:
    try:
        answer: Response = await app_state.desk_pool.run(act)
    except RefusedError:
        limit_address(request, app_state)
        raise
    return answer


def _verified(app_state: AppState, challenge: bytes, signed: SignedChallenge) -> StaffPasskey:
    """Return the passkey that signed a challenge.

    Raises:
        RefusedError: the site does not know the passkey, or its credential is not in force.
        InputError: the signature has another form.
        TamperError: it is not by this passkey, over this challenge, on this site, with the member verified.
    """
    passkey = app_state.site.programs.staff.passkey(signed.id)
    parts = (signed.authenticator_data, signed.client_data_json, signed.signature)
    assertion = PasskeyAssertion.parse(*map(from_b64url, parts))
    party = _party(app_state)
    assertion.check_signature(passkey.public_key, challenge)
    assertion.check_relying_party(party.origin, party.rp_id)
    return passkey


def _signed_in(request: Request, passkey: StaffPasskey, onward: str) -> Response:
    response = JSONResponse(NextStaffPage(next=onward).model_dump())
    start_passkey_session(request, response, passkey.passkey_id)
    end_session(request, response, _CHALLENGE)
    return response


def _party(app_state: AppState) -> RelyingParty:
    party = app_state.site.defaults.public_url()
    if party is None:
        raise InputError(_NO_ADDRESS, reason=Reason.NO_PUBLIC_URL)
    return party


def _keep_challenge(request: Request, response: Response, challenge: bytes) -> None:
    start_session(request, response, _CHALLENGE, {"challenge": b64url(challenge)}, CHALLENGE_LIFETIME)


def _kept_challenge(request: Request) -> bytes:
    begun = open_session(request, _CHALLENGE)
    if begun is None:
        raise SessionEndedError(
            "this was begun more than five minutes ago; start again", reason=Reason.BEGUN_TOO_LONG_AGO
        )
    return from_b64url(begun["challenge"])
