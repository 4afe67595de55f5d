"""Pages on which the person takes their pictures, and tries the door."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from volens.consent import Zone
from volens.consent.zone import LivenessLevel
from volens.enroll import advise_capture
from volens.enroll.capture_advice import Advice, Pose
from volens.face import EncodedImage
from volens.face.image_formats import NETWORK_FORMATS
from volens.face.pixel_budget import PixelBudget
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import MAX_FORM_BYTES, MAX_FRAME_BYTES, read_upload
from volens.service.http.uploaded_enrollment import enroll_uploaded
from volens.service.web.badge_in_browser import badge_in_browser
from volens.service.web.head_turn_asking import MAX_CHALLENGE, HeadTurnPrompt
from volens.service.web.invitation_pages import STEPS
from volens.service.web.invitation_session import Signed, SignedPageRoute, SignedSession
from volens.service.web.own_head_turn import WithTurn, ask_turn, turned_head
from volens.service.web.page_language import PageTexts, language_of
from volens.service.web.page_response import render, zone_name
from volens.store.people.visits import visits_since
from volens.store.promises import zone_of

router: Final = APIRouter(route_class=SignedPageRoute)

MAX_PHOTOS: Final = 10
LATELY: Final = timedelta(hours=2)
LOOK: Final = PixelBudget("a picture of the camera", 2_000_000)


class AdviceAnswer(BaseModel):
    """What the person can do next."""

    advice: Advice


class Tried(BaseModel):
    """Whether the door has known the person; `watched` is false where the zone keeps no visits."""

    watched: bool
    clock: str | None = None


@router.get("/invitation/photos", name="photos_page")
async def photos_page(request: Request, app_state: SharedState, signed: Signed) -> Response:
    """Say why pictures are needed, before the camera is asked for."""

    def page() -> Response:
        zone = _zone(app_state, signed)  # else no camera is asked for
        return render(
            request,
            "person/photos.html",
            camera=True,
            steps=STEPS,
            receipt_id=signed.receipt_id,
            asks_turn=zone.liveness is LivenessLevel.CHALLENGE,
        )

    return await app_state.page_pool.run(page)


@router.post("/invitation/look", name="look", max_body_size=MAX_FRAME_BYTES)
async def look(
    request: Request, app_state: SharedState, signed: Signed, pose: Annotated[Pose, Query()] = Pose.ANY
) -> AdviceAnswer:
    """Say what keeps a picture of the camera from being a good photo. No embedding is computed."""
    frame = EncodedImage(await request.body(), "the picture", NETWORK_FORMATS, LOOK)

    receipt = (await app_state.page_pool.run(lambda: signed.take_home(app_state))).receipt

    def advice() -> Advice:
        site = app_state.site
        return advise_capture(site.installation, lambda: site.extractor, receipt, frame, pose)

    zone = receipt.claims.purpose
    return AdviceAnswer(advice=await app_state.enrollment_pool.run(advice, zone=zone, caller=signed.receipt_id))


@router.post("/invitation/turns", name="turn_head", max_body_size=MAX_FRAME_BYTES)
async def turn(
    app_state: SharedState,
    signed: Signed,
    frame: UploadFile,
    challenge: Annotated[str | None, Form(max_length=MAX_CHALLENGE)] = None,
) -> HeadTurnPrompt:
    """Look at one frame of the head-turn challenge, and say what to ask for next. No embedding is computed."""
    shown = EncodedImage(await read_upload(frame) or b"", "the picture", NETWORK_FORMATS, LOOK)
    receipt = (await app_state.page_pool.run(lambda: signed.take_home(app_state))).receipt

    def ask() -> HeadTurnPrompt:
        return ask_turn(app_state.site, receipt, shown, challenge)

    return await app_state.enrollment_pool.run(ask, zone=receipt.claims.purpose, caller=signed.receipt_id)


@router.post("/invitation/photos", name="send_photos", max_body_size=MAX_FORM_BYTES)
async def send_photos(
    app_state: SharedState,
    signed: Signed,
    photos: Annotated[list[UploadFile], File(min_length=1, max_length=MAX_PHOTOS)],
    sent: WithTurn,
    secret: UploadFile | None = None,
) -> Response:
    """Enroll the person who signed. The photos are not stored. In a zone of custody badge, return the sealed badge."""
    files = [await read_upload(photo) or b"" for photo in photos]
    half = await read_upload(secret)
    taken = await app_state.page_pool.run(lambda: signed.take_home(app_state))
    claims = taken.receipt.claims

    def enroll() -> bytes | None:
        turned = turned_head(app_state.site, taken.receipt, sent)
        _done, badge = enroll_uploaded(app_state, taken.to_json(), claims.custody, files, half, turned=turned)
        return badge

    badge = await app_state.enrollment_pool.run(enroll, zone=claims.purpose, caller=signed.receipt_id)
    return JSONResponse({"badge": None if badge is None else badge_in_browser(badge)})


@router.get("/invitation/try", name="try_page")
async def try_page(request: Request, app_state: SharedState, signed: Signed) -> Response:
    """Ask the person to try the door."""

    def page() -> Response:
        zone = _zone(app_state, signed)
        watched = zone.match_history_days > 0
        return render(request, "person/try.html", zone_name=zone_name(zone), watched=watched, steps=STEPS)

    return await app_state.page_pool.run(page)


@router.post("/invitation/tried", name="tried")
async def tried(request: Request, app_state: SharedState, signed: Signed) -> Tried:
    """Say when the door last knew the person."""

    def newest() -> Tried:
        site = app_state.site
        if not _zone(app_state, signed).match_history_days:
            return Tried(watched=False)
        with site.installation.store.read() as connection:
            visits = visits_since(connection, signed.receipt_id, site.now() - LATELY)
        if not visits:
            return Tried(watched=True)
        texts = PageTexts("person", language_of(request), site.defaults.time_zone())
        return Tried(watched=True, clock=texts.minute(max(one.minute for one in visits)))

    return await app_state.page_pool.run(newest)


def _zone(app_state: AppState, signed: SignedSession) -> Zone:
    purpose = signed.take_home(app_state).receipt.claims.purpose
    with app_state.site.installation.store.read() as connection:
        return zone_of(connection, purpose)
