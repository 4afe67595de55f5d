"""What Prometheus reads; see `service.http.counting`. Numbers of a workplace: whoever reads them needs a credential."""

from typing import Final

from fastapi import APIRouter, Response

from service.http.access import Caller, GuardedRoute
from service.http.rooms import RoomsOf

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

router: Final = APIRouter(tags=["health"], route_class=GuardedRoute)


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def read_metrics(rooms: RoomsOf, _caller: Caller) -> Response:
    """Return what was counted, and count what there is now."""
    return Response(await rooms.desk.do(rooms.metrics.text), media_type=MEDIA_TYPE)
