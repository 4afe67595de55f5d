"""Pages on which the person signs: a passkey or a key of the browser, an offer, and the signed receipt."""

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from volens.consent import InputError, TakeHome
from volens.consent.age_statement import AgeAnswer
from volens.consent.jws import b64url, from_b64url
from volens.consent.reason import Reason
from volens.consent.receipt_signature import SignatureForm
from volens.consent.subject_key import SubjectPublicKey
from volens.enroll import InvitationView
from volens.enroll.offers import OfferWay
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import RequestBody
from volens.service.http.consent_routes import signed_bytes
from volens.service.http.same_origin import same_origin
from volens.service.http.web_session import open_session, start_session
from volens.service.passkey_registration import CHALLENGE_BYTES, creation_options, read_registration
from volens.service.web.invitation_pages import NextPage, facts_of
from volens.service.web.invitation_session import LIFETIME, Invited, InvitedSession, SignedSession
from volens.service.web.page_response import render, zone_name
from volens.service.web.page_route import PageRoute
from volens.service.web.signable_offer import SignableOffer
from volens.store import Transaction
from volens.store.promises import processing_record

router: Final = APIRouter(route_class=PageRoute)

_REGISTRATION: Final = "registration"


class OwnKey(RequestBody):
    """The public half of the person's key: what the browser returned for a new passkey, or a JWK; one of the two.

    `of_age` is the answer to the question about the age.
    """

    registration: dict[str, Any] | None = None
    public_key: dict[str, Any] | None = None
    of_age: bool


class SignedReceipt(RequestBody):
    """The receipt as the person signed it."""

    signed: str = Field(max_length=64 * 1024)
    name: str = Field(max_length=1000)
    commitment: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


@router.get("/invitation/sign", name="sign_page")
async def sign_page(request: Request, app_state: SharedState, invited: Invited) -> Response:
    """Show what the person is about to sign."""

    def page() -> Response:
        view = app_state.site.invitations.open(invited.token)
        installation = app_state.site.installation
        with installation.store.read() as connection:
            record = processing_record(
                connection, installation.store.site.controller, view.zone.purpose, view.jurisdiction
            )
        shown = facts_of(app_state.site, view) | {"consent_age": record.profile.minors.consent_age}
        return render(request, "person/sign.html", **shown)

    return await app_state.page_pool.run(page)


@router.post("/invitation/passkey", name="begin_passkey", dependencies=[Depends(same_origin)])
async def begin_passkey(request: Request, app_state: SharedState, invited: Invited) -> Response:
    """Return what the browser needs to make a passkey."""

    def options() -> Response:
        site = app_state.site
        view = site.invitations.open(invited.token)
        party = site.defaults.public_url()
        if party is None:
            raise InputError(
                "this site has no public address, so it cannot use passkeys; use a key in this browser",
                reason=Reason.NO_PUBLIC_URL,
            )
        name = f"{site.installation.store.site.controller.name} · {zone_name(view.zone)}"
        random = site.installation.store.random
        challenge = random(CHALLENGE_BYTES)
        response = JSONResponse(creation_options(party, name, challenge, random))
        start_session(request, response, _REGISTRATION, {"challenge": b64url(challenge)}, LIFETIME)
        return response

    return await app_state.page_pool.run(options)


@router.post("/invitation/offer", name="offer_invited", dependencies=[Depends(same_origin)])
async def offer_invited(request: Request, app_state: SharedState, invited: Invited, own: OwnKey) -> SignableOffer:
    """Return the receipt for the person to sign with their own key. Nothing is stored."""

    def offer() -> SignableOffer:
        view = app_state.site.invitations.open(invited.token)
        key, form = _own_key(request, app_state, own)
        return SignableOffer.of(
            app_state.site.offer_consent(
                view.notice,
                public_key=key,
                form=form,
                jurisdiction=view.jurisdiction,
                valid_days=view.valid_days,
                valid_until=view.valid_until,
                way=OfferWay.INVITATION,
                age=AgeAnswer(own.of_age),
            )
        )

    return await app_state.desk_pool.run(offer)


@router.post("/invitation/accept", name="accept_invited", dependencies=[Depends(same_origin)])
async def accept_invited(request: Request, app_state: SharedState, invited: Invited, given: SignedReceipt) -> Response:
    """Record the consent that the person signed, and use up the invitation in the same transaction."""
    taken = await app_state.desk_pool.run(partial(_accept, app_state, invited, given))
    response = JSONResponse(NextPage(next="/invitation/photos").model_dump())
    code = taken.code
    if code is not None:
        SignedSession(taken.receipt.claims.receipt_id, code.reveal()).start(request, response)
    InvitedSession.end(request, response)
    return response


def _accept(app_state: AppState, invited: InvitedSession, given: SignedReceipt) -> TakeHome:
    site = app_state.site
    view: InvitationView = site.invitations.open(invited.token)
    commitment = None if given.commitment is None else bytes.fromhex(given.commitment)

    def use(tx: Transaction, take_home: TakeHome) -> None:
        site.invitations.use(tx, invited.token, take_home.receipt.claims.receipt_id)

    taken = site.accept_consent(
        view.notice,
        signed_bytes(given.signed),
        name=given.name,
        commitment=commitment,
        in_transaction=use,
    )
    if taken.secret is not None:  # a browser that sends no commitment would lose it
        taken.secret.wipe()
    return taken


def _own_key(request: Request, app_state: AppState, own: OwnKey) -> tuple[SubjectPublicKey, SignatureForm]:
    if own.registration is None:
        if own.public_key is None:
            raise InputError("got neither a passkey nor a public key; send one of the two")
        return SubjectPublicKey.from_jwk(own.public_key), SignatureForm.PERSON_KEY
    party, begun = app_state.site.defaults.public_url(), open_session(request, _REGISTRATION)
    if party is None or begun is None:
        raise InputError("the passkey was begun too long ago; start again", reason=Reason.BEGUN_TOO_LONG_AGO)
    challenge = from_b64url(begun["challenge"])
    made = read_registration(own.registration, challenge=challenge, relying_party=party)
    return made.public_key, SignatureForm.PASSKEY
