"""Certificates of erasures, with what recipients have answered since; the person has one from the withdrawal."""

from hashlib import sha256
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Response

from service.http.access import Caller, GuardedRoute
from service.http.rooms import RoomsOf

router: Final = APIRouter(tags=["log"], route_class=GuardedRoute)


@router.get(
    "/certificates/{certificate_id}",
    summary="The certificate of an erasure, as anybody can check it",
    responses={200: {"content": {"application/json": {}}}, 304: {"description": "it is as it was"}},
    response_class=Response,
)
async def read_certificate(
    certificate_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],
    rooms: RoomsOf,
    _caller: Caller,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the file; its ETag is another one when a recipient has answered."""
    site = rooms.site
    data = await rooms.desk.do(lambda: site.erasures.certificate(certificate_id))
    tag = f'"{sha256(data).hexdigest()}"'
    sent = [one.strip() for one in (if_none_match or "").split(",")]
    if tag in sent or "*" in sent:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(data, media_type="application/json", headers={"ETag": tag})
