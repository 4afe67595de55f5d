"""The Prometheus endpoint. Its numbers describe a workplace, so that reading them needs a credential."""

from typing import Final

from fastapi import APIRouter, Response

from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import RoomsOf

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

router: Final = APIRouter(tags=["health"], route_class=GuardedRoute)


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def read_metrics(app_state: RoomsOf, _caller: Caller) -> Response:
    """Return what was counted, and count what there is now."""
    return Response(await app_state.desk.do(app_state.metrics.text), media_type=MEDIA_TYPE)
