"""What doors ask: who of those who agreed is in this frame."""

import time
from typing import Annotated, Final

from fastapi import APIRouter, File, Request, Response, UploadFile
from pydantic import BaseModel, Field

from consent import Badge, PersonSecret
from enroll import decode
from index import FaceDecision, Identification
from service.http.access import Caller, GuardedRoute
from service.http.bodies import MAX_FRAME_BYTES, image_body, whole
from service.http.rooms import RoomsOf

router: Final = APIRouter(tags=["doors"], route_class=GuardedRoute)


class Face(BaseModel):
    """A face of a frame, and whether it is somebody with a consent in force for this zone."""

    box: tuple[float, float, float, float] = Field(description="left, top, right, bottom, in pixels of the frame")
    decision: str = Field(description="'match' or 'no_match'", examples=["match"])
    subject_id: str | None = Field(description="of the person who matched; doors never see names")
    comparison_score: float | None = Field(description="cosine similarity; none for who does not match")

    @classmethod
    def of(cls, face: FaceDecision) -> "Face":
        """Say what was decided about a face."""
        left, top, right, bottom = (round(float(side), 1) for side in face.box)
        score = None if face.comparison_score is None else round(face.comparison_score, 4)
        decision = "no_match" if face.match is None else "match"
        return cls(
            box=(left, top, right, bottom), decision=decision, subject_id=face.subject_id, comparison_score=score
        )


class Decisions(BaseModel):
    """What was decided about every face of a frame."""

    zone: str
    model: str
    threshold: float
    faces: list[Face]

    @classmethod
    def of(cls, found: Identification) -> "Decisions":
        """Say what was decided."""
        faces = [Face.of(face) for face in found.faces]
        return cls(zone=found.purpose, model=found.model_id, threshold=found.threshold, faces=faces)


class Claim(BaseModel):
    """Whether the largest face is the person who is claimed; no face is no match."""

    decision: str = Field(description="'match' or 'no_match'", examples=["match"])
    face: Face | None


@router.post(
    "/zones/{zone}/identify",
    summary="Who is in this frame (1:N)",
    response_model=Decisions,
    max_body_size=MAX_FRAME_BYTES,
    openapi_extra=image_body("one frame, at most 8 MiB"),
)
async def identify(zone: str, request: Request, rooms: RoomsOf, _caller: Caller) -> Response:
    """Decide about every face of one frame. The frame is not kept; a face that matches nobody leaves no trace."""
    site = rooms.site
    data = await request.body()

    asked = time.perf_counter()

    def look() -> Identification:
        rooms.metrics.waited(asked)
        with rooms.metrics.stage("decode"):
            frame = decode(data, "the frame")
        with rooms.metrics.stage("decide"):
            found = site.identify(zone, frame, rooms.metrics.stage)
        rooms.told.tell(found)
        return found

    # As FastAPI would answer, without validating our own answer once more.
    return Response(Decisions.of(await rooms.models.do(look)).model_dump_json(), media_type="application/json")


@router.post(
    "/zones/{zone}/verify", summary="Is this the person of this receipt or badge (1:1)", max_body_size=MAX_FRAME_BYTES
)
async def verify(
    zone: str,
    rooms: RoomsOf,
    _caller: Caller,
    frame: UploadFile,
    receipt: Annotated[UploadFile | None, File(description="what the person took home")] = None,
    secret: Annotated[UploadFile | None, File(description="in a zone of custody subject_key")] = None,
    badge: Annotated[UploadFile | None, File(description="in a zone of custody badge")] = None,
) -> Claim:
    """Compare the largest face of a frame with one person's reference; show a receipt, or a badge."""
    site = rooms.site
    shown = await whole(receipt)
    half, carried_badge = await whole(secret), await whole(badge)
    data = await whole(frame) or b""

    def compare() -> FaceDecision | None:
        carried = _carried(half, carried_badge)
        try:
            return site.verify_claim(shown, decode(data, "the frame"), carried=carried, zone=zone)
        finally:
            if carried is not None:
                carried.wipe()

    face = await rooms.models.do(compare)
    matched = face is not None and face.match is not None
    return Claim(decision="match" if matched else "no_match", face=None if face is None else Face.of(face))


def _carried(secret: bytes | None, badge: bytes | None) -> PersonSecret | Badge | None:
    if badge is not None:
        return Badge.parse(badge)
    return None if secret is None else PersonSecret.parse(secret.decode("ascii", "replace"))
