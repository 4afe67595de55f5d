"""What a paired kiosk may ask: to be paired, whether it works, what a frame decides, and what it shows."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, Field

from volens.consent.zone import ZoneState
from volens.face import EncodedImage
from volens.face.image_formats import NETWORK_FORMATS
from volens.identify import EARLIER
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import MAX_FRAME_BYTES, JsonRoute, RequestBody, read_upload
from volens.service.http.door_routes import decide_frame
from volens.service.http.same_origin import same_origin
from volens.service.qr_reading import qr_texts_in
from volens.service.web.head_turn_asking import EARLIER_FRAME, MAX_CHALLENGE, HeadTurnPrompt, Turn, answer_of, next_turn
from volens.service.web.kiosk_decision import KioskAnswer, Shown, answer_to
from volens.service.web.kiosk_session import KioskRoute, pair
from volens.service.web.kiosk_visit import MAX_SEALED, continued_visit, sealed_visit

MAX_TYPED: Final = 64
MAX_CODES: Final = 8
MAX_CODE: Final = 1200
_OUR_CODES: Final = "VOLENS-"

_pairing: Final = APIRouter(route_class=JsonRoute)
_paired: Final = APIRouter(route_class=KioskRoute)
router: Final = APIRouter()


class Pairing(RequestBody):
    """The token of a door's credential, from the operator's link."""

    token: str = Field(max_length=200)


class Paired(BaseModel):
    """The browser has a session."""


class KioskState(BaseModel):
    """Whether the door decides at the moment."""

    in_use: bool


class Look(BaseModel):
    """The answer to a frame, in one word, and what to send again with the next frame: codes, and the sealed visit."""

    answer: str
    codes: list[str]
    visit: str


class CodesInFrame(BaseModel):
    """Texts of the QR codes of this site that were found in a frame."""

    codes: list[str]


@_pairing.post("/kiosk/{zone}/session", name="kiosk_pair", dependencies=[Depends(same_origin)])
async def pair_kiosk(zone: str, request: Request, response: Response, shown: Pairing) -> Paired:
    """Exchange the token for a session."""
    pair(request, response, shown.token, zone)
    return Paired()


@_paired.get("/kiosk/{zone}/state", name="kiosk_state")
async def kiosk_state(zone: str, app_state: SharedState) -> KioskState:
    """Tell a sleeping kiosk whether it is still paired, and whether its zone is paused."""
    found = await app_state.page_pool.run(lambda: app_state.site.zones.get(zone))
    return KioskState(in_use=found.state is ZoneState.IN_USE)


@_paired.post("/kiosk/{zone}/looks", name="kiosk_look", max_body_size=MAX_FRAME_BYTES)
async def look(
    zone: str,
    request: Request,
    app_state: SharedState,
    frame: UploadFile,
    factor: Annotated[str | None, Form(max_length=MAX_TYPED)] = None,
    code: Annotated[list[Annotated[str, Field(max_length=MAX_CODE)]] | None, Form(max_length=MAX_CODES)] = None,
    visit: Annotated[str | None, Form(max_length=MAX_SEALED)] = None,
    challenge: Annotated[str | None, Form(max_length=MAX_CHALLENGE)] = None,
    earlier: Annotated[list[UploadFile] | None, File(max_length=EARLIER)] = None,
) -> Look:
    """Look at the person in front of the kiosk, and decide when the visit can be decided. No frame is stored."""
    data, caller_id = await read_upload(frame) or b"", request.state.caller.caller_id
    before = [await read_upload(one) or b"" for one in earlier or ()]
    shown = Shown(factor, code or ())

    def decide(image: EncodedImage) -> tuple[KioskAnswer, str]:
        site, stage = app_state.site, app_state.metrics.stage
        with stage("decide"):
            where = site.zones.get(zone)
            at_s = site.installation.store.clock().timestamp()
            its = continued_visit(site, where, caller_id, visit, at_s)
            looks = [EncodedImage(one, "an earlier frame", NETWORK_FORMATS, EARLIER_FRAME) for one in before]
            turned = answer_of(site, where, challenge, looks, caller=caller_id)
            answer = answer_to(site, where, image, shown, its, at_s, turned, caller=caller_id, timer=stage)
            return answer, sealed_visit(site, where, caller_id, its, answer)

    found, sealed = await decide_frame(app_state, zone, caller_id, data, decide)
    if found.outcome is not None:
        request.state.faces = {found.outcome: 1}
    return Look(answer=found.word, codes=list(found.codes), visit=sealed)


@_paired.post("/kiosk/{zone}/turns", name="kiosk_turn", max_body_size=MAX_FRAME_BYTES)
async def turn(
    zone: str,
    request: Request,
    app_state: SharedState,
    frame: UploadFile,
    challenge: Annotated[str | None, Form(max_length=MAX_CHALLENGE)] = None,
) -> HeadTurnPrompt:
    """Look at one frame of the head-turn challenge, and say what to ask for next. Nothing is compared or stored."""
    data, caller_id = await read_upload(frame) or b"", request.state.caller.caller_id

    def guide(image: EncodedImage) -> Turn:
        site = app_state.site
        return next_turn(site, site.zones.get(zone), image, challenge, caller=caller_id)

    return (await decide_frame(app_state, zone, caller_id, data, guide)).to_body()


@_paired.post("/kiosk/{zone}/codes", name="kiosk_codes", max_body_size=MAX_FRAME_BYTES)
async def read_codes(zone: str, request: Request, app_state: SharedState, frame: UploadFile) -> CodesInFrame:
    """Read the QR codes that a person holds up, such as that of a receipt. No face is detected."""
    data = await read_upload(frame) or b""
    public = app_state.site.defaults.public_url()
    ours = tuple(one.upper() for one in (_OUR_CODES, *([] if public is None else [f"{public.origin}/"])))

    def read(image: EncodedImage) -> list[str]:
        return [one for one in qr_texts_in(image.decode()) if one.upper().startswith(ours)]

    return CodesInFrame(codes=await decide_frame(app_state, zone, request.state.caller.caller_id, data, read))


router.include_router(_pairing)
router.include_router(_paired)
