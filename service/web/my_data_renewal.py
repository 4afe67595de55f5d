"""Renewal by the person: the newest notice, a new receipt signed with the same key, and a new code; without a gap.

Only for a key that the person has: a passkey, or a key of this browser. Where the person also holds half of the key to
the embedding, or a badge, the desk renews, because it hands over the new one.
"""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from volens import Site
from volens.consent import Custody, Notice, ReceiptId, TakeHome
from volens.consent.receipt import notice_language
from volens.consent.receipt_signature import SignatureForm
from volens.rights import OwnConsent
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import EXAMPLE_SHA256, IdInPath, RequestBody
from volens.service.http.consent_routes import newest_notice, notice_of_receipt, signed_bytes
from volens.service.web.my_data_pages import own_page
from volens.service.web.my_data_session import Mine, OwnActionRoute, OwnPageRoute, OwnSession
from volens.service.web.signable_offer import SignableOffer
from volens.store.people import StoredReceipt

router: Final = APIRouter(route_class=OwnPageRoute)
_actions: Final = APIRouter(route_class=OwnActionRoute)
_ONE: Final = "/me/consents/{receipt_id}/renewal"


class AgreedNotice(RequestBody):
    """The notice that the person was shown, and agrees to."""

    notice_sha256: str = Field(max_length=64, examples=[EXAMPLE_SHA256])


class SignedRenewal(RequestBody):
    """The new receipt, as the person signed it."""

    signed: Annotated[str, Field(max_length=60 * 1024)]


@router.get(_ONE, name="my_renewal")
async def renewal_page(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Show the newest notice and the new end, to sign."""
    site = app_state.site

    def show() -> Response:
        own = site.rights.own.consents(mine.shown)
        found = own.one(receipt_id)
        if not isinstance(found, OwnConsent) or found.is_stopped:
            return RedirectResponse(f"/me/consents/{receipt_id}", 303)
        old = site.changes.in_force([found.facts.receipt_id])
        form, notice = old.verified().claims.signature.form, _notice(site, old)
        return own_page(
            request,
            "renewal",
            own,
            consent=found,
            zone=found.zone,
            notice=notice,
            form=form.value,
            can_sign=form is not SignatureForm.DESK and found.zone.custody is Custody.OPERATOR,
        )

    return mine.keep(request, await app_state.page_pool.run(show))


@_actions.post(f"{_ONE}/offer", name="offer_my_renewal")
async def offer_own_renewal(
    app_state: SharedState, mine: Mine, receipt_id: IdInPath, agreed: AgreedNotice
) -> SignableOffer:
    """Return the new receipt for the person to sign with the same key. Nothing is stored."""
    site = app_state.site

    def offer() -> SignableOffer:
        old = site.changes.in_force([site.rights.own.check(mine.shown, receipt_id)])
        notice = newest_notice(site, old.purpose, notice_language(old.verified()), agreed.notice_sha256)
        return SignableOffer.of(site.changes.offer_renewal(old.receipt_id, notice))

    return await app_state.desk_pool.run(offer)


@_actions.post(_ONE, name="renew_my_consent")
async def renew_own_consent(
    request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath, new: SignedRenewal
) -> Response:
    """Renew the consent. The session goes on with the new receipt and its new code; the old code opens only the old."""
    taken = await app_state.desk_pool.run(partial(_renew, app_state, mine, receipt_id, signed_bytes(new.signed)))
    renewed = OwnSession(taken.receipt.claims.receipt_id, taken.code)
    return renewed.answer(request, {"next": f"/me/consents/{renewed.shown}/receipt?done=1"})


def _renew(app_state: AppState, mine: OwnSession, receipt_id: str, signed: bytes) -> TakeHome:
    site = app_state.site
    old = site.changes.in_force([site.rights.own.check(mine.shown, receipt_id)])
    notice = notice_of_receipt(site, old.purpose, signed)
    return site.changes.accept_renewal(ReceiptId(old.receipt_id), notice, signed).take_home


def _notice(site: Site, old: StoredReceipt) -> Notice:
    """Return the newest notice in the language of the one that the person agreed to before."""
    return site.notice(old.purpose, notice_language(old.verified()))


router.include_router(_actions)
