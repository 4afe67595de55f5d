"""Certificates of erasures, with what recipients have answered since; the person has one from the withdrawal."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import RoomsOf
from volens.service.http.pagination import NOT_MODIFIED, IfNoneMatch, tagged

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
    app_state: RoomsOf,
    _caller: Caller,
    _tags: IfNoneMatch = None,
) -> Response:
    """Return the file; its ETag is another one when a recipient has answered."""
    site = app_state.site
    return tagged(request, await app_state.desk.do(lambda: site.erasures.certificate(certificate_id)))
