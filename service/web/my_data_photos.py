"""New photos by the person: by the camera of their device or from files, of the same face; nothing else changes.

Where the person holds half of the key, or a badge, their browser sends it with the photos, and gets the new badge.
"""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import RedirectResponse

from volens import Site
from volens.consent import Badge, EnrollmentError
from volens.consent.plain_text import plain_text
from volens.consent.zone import LivenessLevel
from volens.enroll import NewPhotos, PhotoChange, TurnedHead, advise_capture
from volens.enroll.capture_advice import Advice, Pose
from volens.face import EncodedImage
from volens.face.image_formats import NETWORK_FORMATS
from volens.rights import OwnConsent
from volens.service.http.access import limit_address
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import MAX_FORM_BYTES, MAX_FRAME_BYTES, IdInPath, enrollment_photos, read_upload
from volens.service.http.presented_token import presented_token
from volens.service.process import return_freed_memory
from volens.service.web.badge_in_browser import badge_in_browser
from volens.service.web.head_turn_asking import MAX_CHALLENGE, HeadTurnPrompt
from volens.service.web.my_data_pages import own_page
from volens.service.web.my_data_renewal import commitment_of_secret
from volens.service.web.my_data_session import Mine, OwnActionRoute, OwnPageRoute, OwnSession
from volens.service.web.own_head_turn import LIVENESS_REASONS, WithTurn, ask_turn, turned_head
from volens.service.web.photo_pages import LOOK, MAX_PHOTOS
from volens.store.people import StoredReceipt

router: Final = APIRouter(route_class=OwnPageRoute)
_actions: Final = APIRouter(route_class=OwnActionRoute)
_ONE: Final = "/me/consents/{receipt_id}"


@router.get(f"{_ONE}/photos", name="my_photos")
async def photos_page(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Say what new photos are for, before the camera is asked for."""
    site = app_state.site

    def show() -> Response:
        own = site.rights.own.consents(mine.shown)
        found = own.one(receipt_id)
        if not isinstance(found, OwnConsent) or not found.can_change:
            return RedirectResponse(f"/me/consents/{receipt_id}", 303)
        return own_page(
            request,
            "photos",
            own,
            camera=True,
            consent=found,
            zone=found.zone,
            asks_turn=found.zone.liveness is LivenessLevel.CHALLENGE,
            is_done="done" in request.query_params,
            commitment=commitment_of_secret(site, found),
            prf=_relying_party(site, found),
        )

    return mine.keep(request, await app_state.page_pool.run(show))


@_actions.post(f"{_ONE}/look", name="look_at_me", max_body_size=MAX_FRAME_BYTES)
async def look(
    request: Request,
    app_state: SharedState,
    mine: Mine,
    receipt_id: IdInPath,
    pose: Annotated[Pose, Query()] = Pose.ANY,
) -> Response:
    """Say what keeps a picture of the camera from being a good photo. No embedding is computed."""
    frame = EncodedImage(await request.body(), "the picture", NETWORK_FORMATS, LOOK)
    site = app_state.site

    verified = await app_state.page_pool.run(lambda: _in_force(app_state, mine, receipt_id).verified())

    def advice() -> Advice:
        return advise_capture(site.installation, lambda: site.extractor, verified.unverified, frame, pose)

    found = await app_state.enrollment_pool.run(advice, zone=verified.claims.purpose, caller=receipt_id)
    return mine.answer(request, {"advice": found.value})


@_actions.post(f"{_ONE}/turns", name="turn_my_head", max_body_size=MAX_FRAME_BYTES)
async def turn(
    request: Request,
    app_state: SharedState,
    mine: Mine,
    receipt_id: IdInPath,
    frame: UploadFile,
    challenge: Annotated[str | None, Form(max_length=MAX_CHALLENGE)] = None,
) -> Response:
    """Look at one frame of the head-turn challenge, and say what to ask for next. No embedding is computed."""
    shown = EncodedImage(await read_upload(frame) or b"", "the picture", NETWORK_FORMATS, LOOK)
    verified = await app_state.page_pool.run(lambda: _in_force(app_state, mine, receipt_id).verified())

    def ask() -> HeadTurnPrompt:
        return ask_turn(app_state.site, verified.unverified, shown, challenge)

    found = await app_state.enrollment_pool.run(ask, zone=verified.claims.purpose, caller=receipt_id)
    return mine.answer(request, found.model_dump())


@_actions.post(f"{_ONE}/photos", name="change_my_photos", max_body_size=MAX_FORM_BYTES)
async def change_own_photos(
    request: Request,
    app_state: SharedState,
    mine: Mine,
    receipt_id: IdInPath,
    photos: Annotated[list[UploadFile], File(min_length=1, max_length=MAX_PHOTOS)],
    sent: WithTurn,
    secret: UploadFile | None = None,
    badge: UploadFile | None = None,
) -> Response:
    """Replace the photos of the reference, if they show the same face. The photos are not stored.

    The error says nothing about how much two faces differ: with the code of another person, and photos changed little
    by little, the score would lead to that person's face. It may say that the head turn failed, or that the liveness
    model refuses a photo, because neither compares what was sent with the reference.
    """
    files = [await read_upload(photo) or b"" for photo in photos]
    held = await read_upload(secret), await read_upload(badge)
    verified = await app_state.page_pool.run(lambda: _in_force(app_state, mine, receipt_id).verified())
    change = partial(_change, app_state, verified.token.encode("ascii"), files, held)

    def turn_and_change() -> bytes | None:
        return change(turned_head(app_state.site, verified.unverified, sent))

    try:
        fresh = await app_state.enrollment_pool.run(turn_and_change, zone=verified.claims.purpose, caller=receipt_id)
    except EnrollmentError as error:
        limit_address(request, app_state)
        reason = error.reason if error.reason in LIVENESS_REASONS else None
        raise type(error)("these photos cannot be used; take them again", reason=reason) from None
    handed = {} if fresh is None else {"badge": badge_in_browser(fresh)}
    return mine.answer(request, {"next": f"/me/consents/{receipt_id}/photos?done=1", **handed})


def _change(
    app_state: AppState,
    receipt: bytes,
    files: list[bytes],
    held: tuple[bytes | None, bytes | None],
    turned: TurnedHead | None,
) -> bytes | None:
    """Replace the photos, and return the new badge in a zone of custody ``badge``."""
    secret, badges = held[0], list[bytes]()
    try:
        with presented_token(None if secret is None else plain_text(secret, "the secret"), held[1]) as carried:
            app_state.site.changes.photos(
                receipt,
                NewPhotos(enrollment_photos(files, app_state.image_decoder.decode), PhotoChange.REPLACE, turned=turned),
                carried=carried,
                hand_over=(lambda made: badges.append(made.to_bytes())) if isinstance(carried, Badge) else None,
            )
    finally:
        return_freed_memory()
    return badges[0] if badges else None


def _in_force(app_state: AppState, mine: OwnSession, receipt_id: str) -> StoredReceipt:
    site = app_state.site
    return site.changes.in_force([site.rights.own.check(mine.shown, receipt_id)])


def _relying_party(site: Site, consent: OwnConsent) -> str | None:
    """Return the web site of the passkey that signed; None if another kind of key did."""
    party = site.changes.in_force([consent.facts.receipt_id]).verified().claims.signature.relying_party
    return None if party is None else party.rp_id


router.include_router(_actions)
