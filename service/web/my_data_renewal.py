"""Renewal by the person: the newest notice, a new receipt signed with the same key, and a new code; without a gap.

Only the key that signed before can sign: a passkey, a key of this browser, or the key file that the desk handed over.
Where the person also holds half of the key to the embedding, the browser makes the new half; a new badge goes to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from volens import Site
from volens.consent import Badge, Custody, InputError, Notice, PersonSecret, ReceiptId, TakeHome
from volens.consent.receipt import notice_language
from volens.consent.receipt_offer import consent_words
from volens.rights import OwnConsent
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import EXAMPLE_SHA256, IdInPath, RequestBody
from volens.service.http.consent_routes import newest_notice, notice_of_receipt, signed_bytes
from volens.service.http.presented_token import badge_bytes, presented_token
from volens.service.web.badge_in_browser import badge_in_browser
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
    """The new receipt, as the person signed it, and what they hold of the key to the embedding.

    In a zone of custody ``subject_key``: the secret until now, and the new one; without photos the commitment to it is
    enough. In a zone of custody ``badge``: the badge until now.
    """

    signed: Annotated[str, Field(max_length=48 * 1024)]
    secret: Annotated[str, Field(max_length=200)] | None = None
    new_secret: Annotated[str, Field(max_length=200)] | None = None
    commitment: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    badge: Annotated[str, Field(max_length=8 * 1024)] | None = None


@router.get(_ONE, name="my_renewal")
async def renewal_page(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Show the newest notice and the new end, to sign."""
    site = app_state.site

    def show() -> Response:
        own = site.rights.own.consents(mine.shown)
        found = own.one(receipt_id)
        if not isinstance(found, OwnConsent) or not found.can_change:
            return RedirectResponse(f"/me/consents/{receipt_id}", 303)
        old = site.changes.in_force([found.facts.receipt_id])
        notice, claims = _notice(site, old), old.verified().claims
        record = site.declarations.record(old.purpose, claims.jurisdiction)
        return own_page(
            request,
            "renewal",
            own,
            consent=found,
            zone=found.zone,
            notice=notice,
            days=record.max_term_days,
            consent_words=consent_words(record, notice.language, timedelta(days=record.max_term_days)),
            form=claims.signature.form.value,
            commitment=commitment_of_secret(site, found),
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
    taken, badge = await app_state.desk_pool.run(partial(_renew, app_state, mine, receipt_id, new))
    renewed = OwnSession(taken.receipt.claims.receipt_id, taken.code)
    handed = {} if badge is None else {"badge": badge_in_browser(badge)}
    next_page = f"/me/consents/{renewed.shown}/receipt?done=1"
    return renewed.answer(request, {"next": next_page, "receipt_id": str(renewed.shown), **handed})


def _renew(app_state: AppState, mine: OwnSession, receipt_id: str, new: SignedRenewal) -> tuple[TakeHome, bytes | None]:
    """Return the new take-home, and the new badge in a zone of custody ``badge``."""
    site, signed, badges = app_state.site, signed_bytes(new.signed), list[bytes]()
    old = site.changes.in_force([site.rights.own.check(mine.shown, receipt_id)])
    notice = notice_of_receipt(site, old.purpose, signed)
    with presented_token(new.secret, badge_bytes(new.badge)) as carried, _new_half(new) as half:
        if half is None and old.verified().claims.custody is Custody.SUBJECT_KEY:
            raise InputError("got no new half of the key; send new_secret, or its commitment if there are no photos")
        done = site.changes.accept_renewal(
            ReceiptId(old.receipt_id),
            notice,
            signed,
            carried=carried,
            new_half=half,
            hand_over=(lambda badge: badges.append(badge.to_bytes())) if isinstance(carried, Badge) else None,
        )
    return done.take_home, badges[0] if badges else None


@contextmanager
def _new_half(new: SignedRenewal) -> Iterator[PersonSecret | bytes | None]:
    """Return the new secret that the browser made, or the commitment to it, and wipe the secret afterwards."""
    if new.new_secret is None:
        yield None if new.commitment is None else bytes.fromhex(new.commitment)
        return
    with PersonSecret.parse(new.new_secret) as half:
        yield half


def commitment_of_secret(site: Site, consent: OwnConsent) -> str | None:
    """Return the commitment to the person's secret in hex, with which their browser checks the secret that it has.

    It is None where the person holds none, or needs none because there are no photos.
    """
    if consent.zone.custody is not Custody.SUBJECT_KEY or not consent.is_enrolled:
        return None
    return site.rights.own.commitment(consent.facts.receipt_id).hex()


def _notice(site: Site, old: StoredReceipt) -> Notice:
    """Return the newest notice in the language of the one that the person agreed to before."""
    return site.notice(old.purpose, notice_language(old.verified()))


router.include_router(_actions)
