"""Certificates of erasures, with what recipients have answered since; the person has one from the withdrawal."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from service.http.access import Caller, GuardedRoute
from service.http.pages import NOT_MODIFIED, IfNoneMatch, tagged
from service.http.rooms import RoomsOf

router: Final = APIRouter(tags=["log"], route_class=GuardedRoute)


@router.get(
    "/certificates/{certificate_id}",
    summary="The certificate of an erasure, as anybody can check it",
    responses={200: {"content": {"application/json": {}}}, **NOT_MODIFIED},
    response_class=Response,
)
async def read_certificate(
    certificate_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],
    request: Request,
    rooms: RoomsOf,
    _caller: Caller,
    _tags: IfNoneMatch = None,
) -> Response:
    """Return the file; its ETag is another one when a recipient has answered."""
    site = rooms.site
    return tagged(request, await rooms.desk.do(lambda: site.erasures.certificate(certificate_id)))
