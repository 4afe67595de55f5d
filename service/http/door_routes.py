"""What doors ask: who of those who agreed is in this frame."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, Field

from volens.consent import Badge, InputError, PersonSecret, ShownFactor
from volens.face import RgbImage, decode
from volens.identify import FaceDecision, Identification
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import AppState, RoomsOf
from volens.service.http.bodies import MAX_FRAME_BYTES, image_body, whole
from volens.store.people.passages import asked_by

router: Final = APIRouter(tags=["doors"], route_class=GuardedRoute)


class Face(BaseModel):
    """A face of a frame, and whether it is somebody with a consent in force for this zone."""

    box: tuple[float, float, float, float] = Field(description="left, top, right, bottom, in pixels of the frame")
    decision: str = Field(
        description="'match', 'no_match', or 'factor_required': known, but nobody without badge or PIN",
        examples=["match"],
    )
    subject_id: str | None = Field(description="of the person who matched; doors never see names")
    comparison_score: float | None = Field(description="cosine similarity; none for who does not match")

    @classmethod
    def of(cls, face: FaceDecision) -> "Face":
        """Say what was decided about a face."""
        x, y, width, height = face.box
        left, top, right, bottom = (round(float(side), 1) for side in (x, y, x + width, y + height))
        score = None if face.comparison_score is None else round(face.comparison_score, 4)
        return cls(
            box=(left, top, right, bottom), decision=face.outcome, subject_id=face.subject_id, comparison_score=score
        )


class Decisions(BaseModel):
    """What was decided about every face of a frame."""

    zone: str
    model: str
    threshold: float
    second_factor: str = Field(description="what the zone asks for besides the face: 'none', 'badge' or 'pin'")
    faces: list[Face]

    @classmethod
    def of(cls, found: Identification) -> "Decisions":
        """Say what was decided."""
        faces = [Face.of(face) for face in found.faces]
        return cls(
            zone=found.purpose,
            model=found.model_id,
            threshold=found.threshold,
            second_factor=found.second_factor,
            faces=faces,
        )


class Claim(BaseModel):
    """Whether the largest face is the person who is claimed; no face is no match."""

    decision: str = Field(description="'match', 'no_match' or 'factor_required'", examples=["match"])
    face: Face | None


@router.post(
    "/zones/{zone}/identify",
    summary="Who is in this frame (1:N)",
    response_model=Decisions,
    max_body_size=MAX_FRAME_BYTES,
    openapi_extra=image_body("one frame, at most 8 MiB"),
)
async def identify(zone: str, request: Request, app_state: RoomsOf, caller: Caller) -> Response:
    """Decide about every face of one frame. The frame is not kept; of a face that matches nobody a number is left."""
    site = app_state.site
    data, stage = await request.body(), app_state.metrics.stage
    return await decided(request, app_state, caller, data, lambda frame: site.identify(zone, frame, stages=stage))


async def decided(
    request: Request, app_state: AppState, caller: Caller, data: bytes, decide: Callable[[RgbImage], Identification]
) -> Response:
    """Answer with what is decided about a frame, in a thread for models; it is told, timed and counted.

    Raises:
        BusyError: there is no place.
        ImageError: it is no frame.
    """
    asked = time.perf_counter()

    def look() -> Identification:
        app_state.metrics.waited(asked)
        return looked_at(app_state, caller.caller_id, data, decide)

    decisions = Decisions.of(await app_state.models.do(look))
    request.state.faces = Counter(face.decision for face in decisions.faces)
    # As FastAPI would answer, without validating our own answer once more.
    return Response(decisions.model_dump_json(), media_type="application/json")


def looked_at(
    app_state: AppState, caller_id: str, data: bytes, decide: Callable[[RgbImage], Identification]
) -> Identification:
    """Decide about a frame, in the thread for it; timed, and told to recipients.

    Raises:
        ImageError: it is no frame.
    """
    with app_state.metrics.stage("decode"):
        frame = decode(data, "the frame")
    with app_state.metrics.stage("decide"), asked_by(caller_id):
        found = decide(frame)
    app_state.told.tell(found)
    return found


@router.post(
    "/zones/{zone}/verify", summary="Is this the person of this receipt or badge (1:1)", max_body_size=MAX_FRAME_BYTES
)
async def verify(  # noqa: PLR0913, PLR0917  a parameter for each field of the form
    zone: str,
    request: Request,
    app_state: RoomsOf,
    caller: Caller,
    frame: UploadFile,
    receipt: Annotated[UploadFile | None, File(description="what the person took home")] = None,
    secret: Annotated[UploadFile | None, File(description="in a zone of custody subject_key")] = None,
    badge: Annotated[UploadFile | None, File(description="in a zone of custody badge")] = None,
    badge_number: Annotated[str | None, Form(description="in a zone that asks for a badge besides")] = None,
    pin: Annotated[str | None, Form(description="in a zone that asks for a PIN besides")] = None,
) -> Claim:
    """Compare the largest face of a frame with one person's reference; show a receipt, or a badge.

    A receipt is a claim, and no second factor: a zone that asks for one asks for it here too.
    """
    site = app_state.site
    shown = await whole(receipt)
    half, carried_badge = await whole(secret), await whole(badge)
    data = await whole(frame) or b""

    def compare() -> FaceDecision | None:
        carried, factor = _carried(half, carried_badge), factor_sent(badge_number, pin)
        try:
            with asked_by(caller.caller_id):
                return site.verify_claim(shown, decode(data, "the frame"), carried=carried, zone=zone, factor=factor)
        finally:
            for one in (carried, factor):
                if one is not None:
                    one.wipe()

    face = await app_state.models.do(compare)
    said = None if face is None else Face.of(face)
    claim = Claim(decision="no_match" if said is None else said.decision, face=said)
    request.state.faces = {claim.decision: 1}
    return claim


def factor_sent(badge_number: str | None, pin: str | None) -> ShownFactor | None:
    """Return what was sent besides the face; None where nothing was.

    Raises:
        InputError: both, or what is none.
    """
    if badge_number is not None and pin is not None:
        raise InputError("got both badge_number and pin; send the one that the zone asks for")
    if pin is not None:
        return ShownFactor.pin(pin)
    return None if badge_number is None else ShownFactor.badge(badge_number)


def _carried(secret: bytes | None, badge: bytes | None) -> PersonSecret | Badge | None:
    if badge is not None:
        return Badge.parse(badge)
    return None if secret is None else PersonSecret.parse(secret.decode("ascii", "replace"))
