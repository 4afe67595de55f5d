"""Operations of doors: identify the people in a frame (1:N), or verify a claim (1:1)."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Final, Self, TypeVar, final

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, Field

from volens.consent import Badge, InputError, PersonSecret, ShownFactor
from volens.consent.plain_text import plain_text
from volens.face import EncodedImage
from volens.face.image_formats import NETWORK_FORMATS
from volens.face.pixel_budget import DOOR_FRAME
from volens.identify import FaceDecision, Identification
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import (
    EXAMPLE_SUBJECT,
    MAX_FRAME_BYTES,
    ModelName,
    ZoneName,
    read_upload,
)
from volens.service.process import return_freed_memory

LARGE_FRAME_PIXELS: Final = 9_000_000
"""Frames with more pixels, by their header, have a thread of their own: one takes tenths of a second. 4K has fewer."""

Result = TypeVar("Result")

router: Final = APIRouter(tags=["doors"], route_class=GuardedRoute)

_IMAGE: Final = {"schema": {"type": "string", "format": "binary"}}
_FRAME_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "one frame, at most 8 MiB",
        "content": {one.media_type: _IMAGE for one in NETWORK_FORMATS},
    }
}


@final
class _LargeFrame(Exception):  # noqa: N818  not an error
    """The frame has more than `LARGE_FRAME_PIXELS`."""


class Face(BaseModel):
    """A face of a frame, and whether it matches a person with a live consent for this zone."""

    box: tuple[float, float, float, float] = Field(
        description="left, top, right, bottom, in pixels of the frame", examples=[[311.0, 96.5, 402.2, 221.9]]
    )
    decision: str = Field(
        description="'match', 'no_match', or 'factor_required': a known face, but the second factor is missing",
        examples=["match"],
    )
    subject_id: str | None = Field(
        description="of the person who matched; doors never receive names", examples=[EXAMPLE_SUBJECT]
    )
    comparison_score: float | None = Field(description="cosine similarity; null without a match", examples=[0.7134])
    reason: str | None = Field(
        description="why the face was not compared: 'turned' by 90 degrees or more, 'cut_off', 'not_live'; else null",
        examples=[None],
    )

    @classmethod
    def of(cls, face: FaceDecision) -> Self:
        """Return the response for a decision about a face."""
        x, y, width, height = face.box
        left, top, right, bottom = (round(float(side), 1) for side in (x, y, x + width, y + height))
        score = None if face.comparison_score is None else round(face.comparison_score, 4)
        return cls(
            box=(left, top, right, bottom),
            decision=face.outcome,
            subject_id=face.subject_id,
            comparison_score=score,
            reason=face.reason,
        )


class Decisions(BaseModel):
    """The decisions about every face of a frame."""

    zone: ZoneName
    model: ModelName
    threshold: float = Field(examples=[0.5])
    second_factor: str = Field(
        description="what the zone requires besides the face: 'none', 'badge' or 'pin'", examples=["none"]
    )
    faces: list[Face]
    looks: int = Field(
        default=1,
        description="how many looks each decision rests on: 1, because a photo is one look. A camera's stream decides "
        "by several, and accepts fewer strangers",
        examples=[1],
    )


class Claim(BaseModel):
    """Whether the largest face is the claimed person; without a face it is no match."""

    decision: str = Field(description="'match', 'no_match' or 'factor_required'", examples=["match"])
    face: Face | None
    looks: int = Field(default=1, description="how many looks the decision rests on: 1", examples=[1])


@router.post(
    "/zones/{zone}/identify",
    summary="Identify the people in a frame (1:N)",
    response_model=Decisions,
    max_body_size=MAX_FRAME_BYTES,
    openapi_extra=_FRAME_BODY,
)
async def identify(zone: str, request: Request, app_state: SharedState, caller: Caller) -> Response:
    """Decide about every face of one frame. The frame is not stored; a face that matches no one is only counted."""
    site = app_state.site
    data, stage = await request.body(), app_state.metrics.stage
    return await _decisions(
        request, app_state, zone, data, lambda frame: site.identify(zone, frame, caller=caller.caller_id, timer=stage)
    )


@router.post(
    "/zones/{zone}/pass",
    summary="Identify the people in a frame with a second factor",
    response_model=Decisions,
    max_body_size=MAX_FRAME_BYTES,
)
async def pass_door(
    zone: str,
    request: Request,
    app_state: SharedState,
    caller: Caller,
    frame: UploadFile,
    badge_number: Annotated[str | None, Form(description="in a zone that requires a badge")] = None,
    pin: Annotated[str | None, Form(description="in a zone that requires a PIN")] = None,
) -> Response:
    """Decide about every face of a frame with a second factor. It belongs to one person, so only one person matches.

    A wrong badge number or PIN, another person's, and a PIN that is locked after too many failures give one answer.
    """
    site = app_state.site
    data = await read_upload(frame) or b""

    def identify_with_factor(frame: EncodedImage) -> Identification:
        with required_factor(badge_number, pin) as factor:
            return site.identify(zone, frame, factor, caller=caller.caller_id, timer=app_state.metrics.stage)

    return await _decisions(request, app_state, zone, data, identify_with_factor)


async def _decisions(
    request: Request, app_state: AppState, zone: str, data: bytes, identify_in: Callable[[EncodedImage], Identification]
) -> Response:
    def decide(frame: EncodedImage) -> Identification:
        with app_state.metrics.stage("decide"):
            return identify_in(frame)

    found = await decide_frame(app_state, zone, request.state.caller.caller_id, data, decide)
    body = Decisions(
        zone=found.purpose,
        model=found.model_id,
        threshold=found.threshold,
        second_factor=found.second_factor,
        faces=[Face.of(face) for face in found.faces],
    )
    request.state.faces = Counter(face.decision for face in body.faces)
    # As FastAPI would respond, but without validating our own response again.
    return Response(body.model_dump_json(), media_type="application/json")


async def decide_frame(
    app_state: AppState, zone: str, caller_id: str, data: bytes, decide: Callable[[EncodedImage], Result]
) -> Result:
    """Decide about a frame in a thread: one frame of a caller at a time, and a large one where no door waits for it.

    `decide` is called once, with the frame, whose header was checked and which is not decoded yet.

    Raises:
        BusyError: too many frames wait.
        ImageError: the frame is not a readable image, or larger than a door's frame may be.
    """
    frame = EncodedImage(data, "the frame", NETWORK_FORMATS, DOOR_FRAME)
    queued_at = time.perf_counter()

    def decide_unless_large() -> Result:
        app_state.metrics.waited(queued_at)
        if frame.pixel_count > LARGE_FRAME_PIXELS:
            raise _LargeFrame
        return decide(frame)

    def decide_large() -> Result:
        try:
            return decide(replace(frame, decoder=app_state.image_decoder.decode))
        finally:
            return_freed_memory()

    try:
        return await app_state.model_pool.run(decide_unless_large, zone=zone, caller=caller_id)
    except _LargeFrame:
        return await app_state.large_frame_pool.run(decide_large, zone=zone, caller=caller_id)


@router.post(
    "/zones/{zone}/verify",
    summary="Verify that a person has this receipt or badge (1:1)",
    max_body_size=MAX_FRAME_BYTES,
)
async def verify(  # noqa: PLR0913, PLR0917  a parameter for each field of the form
    zone: str,
    request: Request,
    app_state: SharedState,
    caller: Caller,
    frame: UploadFile,
    receipt: Annotated[UploadFile | None, File(description="the receipt or take-home file")] = None,
    secret: Annotated[UploadFile | None, File(description="in a zone of custody subject_key")] = None,
    badge: Annotated[UploadFile | None, File(description="in a zone of custody badge")] = None,
    badge_number: Annotated[str | None, Form(description="in a zone that requires a badge number")] = None,
    pin: Annotated[str | None, Form(description="in a zone that requires a PIN")] = None,
) -> Claim:
    """Compare the largest face of a frame with one person's reference; a receipt or a badge says whose.

    A receipt is a claim, not a second factor: a zone that requires a second factor requires it here too.
    """
    site = app_state.site
    shown = await read_upload(receipt)
    half, badge_file = await read_upload(secret), await read_upload(badge)
    data = await read_upload(frame) or b""

    def compare(image: EncodedImage) -> FaceDecision | None:
        carried, factor = _carried_secret(half, badge_file), _factor(badge_number, pin)
        try:
            return site.verify_claim(shown, image, carried=carried, zone=zone, factor=factor, caller=caller.caller_id)
        finally:
            for one in (carried, factor):
                if one is not None:
                    one.wipe()

    found = await decide_frame(app_state, zone, caller.caller_id, data, compare)
    face = None if found is None else Face.of(found)
    claim = Claim(decision="no_match" if face is None else face.decision, face=face)
    request.state.faces = {claim.decision: 1}
    return claim


def required_factor(badge_number: str | None, pin: str | None) -> ShownFactor:
    """Return the second factor of a request; the caller wipes it.

    Raises:
        InputError: both or neither were sent, or it is not well-formed.
    """
    factor = _factor(badge_number, pin)
    if factor is None:
        raise InputError("got neither badge_number nor pin; send the one that the zone requires")
    return factor


def _factor(badge_number: str | None, pin: str | None) -> ShownFactor | None:
    if badge_number is not None and pin is not None:
        raise InputError("got both badge_number and pin; send the one that the zone requires")
    if pin is not None:
        return ShownFactor.pin(pin)
    return None if badge_number is None else ShownFactor.badge(badge_number)


def _carried_secret(secret: bytes | None, badge: bytes | None) -> PersonSecret | Badge | None:
    if badge is not None:
        return Badge.parse(badge)
    return None if secret is None else PersonSecret.parse(plain_text(secret, "the secret"))
