"""Liveness, readiness, and metrics."""

from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from volens.service.http.access import GuardedRoute
from volens.service.http.app_state import SharedState

router: Final = APIRouter(tags=["health"])
guarded: Final = APIRouter(tags=["health"], route_class=GuardedRoute)
"""With a credential, because the metrics describe a workplace."""


class Health(BaseModel):
    """`ok`, or what must be done before the service is ready. No numbers about people."""

    status: str = Field(examples=["ok"])
    missing: list[str] = Field(default_factory=list, examples=[[]])


@router.get("/healthz", summary="Liveness: whether the process responds")
async def healthz() -> Health:
    """Respond."""
    return Health(status="ok")


@router.get("/readyz", summary="Readiness: whether doors may send requests", responses={503: {"model": Health}})
async def readyz(app_state: SharedState, response: Response) -> Health:
    """Return what keeps the site from its promises, such as unfinished erasures and data that outlived its clock."""

    def missing() -> list[str]:
        status = app_state.site.status()
        if app_state.stopping.is_set():
            return ["the service is shutting down; send requests to another one"]
        found = ["an erasure is not finished; run 'volens sweep'"] * bool(status.unfinished_erasures)
        found += ["an erasure order is not finished; run 'volens erase resume'"] * bool(status.unfinished_orders)
        found += ["this process does not follow the store; check whether it is locked"] * app_state.follower.is_late()
        late = app_state.site.clocks.quick_alarm()
        return found + ([] if late is None else ["data has outlived its clock; run 'volens sweep'"])

    found = await app_state.desk_pool.run(missing)
    if found:
        response.status_code = 503
    return Health(status="not ready" if found else "ok", missing=found)


@guarded.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def read_metrics(app_state: SharedState) -> Response:
    """Return the metrics of the service and of the site."""
    text = await app_state.desk_pool.run(app_state.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
