"""Liveness, readiness, metrics, and the contact for reports of vulnerabilities."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from volens.consent import TamperError, UnavailableError
from volens.consent.zone import ZoneState
from volens.service.http.access import GuardedRoute, limit_log_reader
from volens.service.http.app_state import SharedState

router: Final = APIRouter(tags=["health"])
guarded: Final = APIRouter(tags=["health"], route_class=GuardedRoute)
"""With a credential, because the metrics describe a workplace."""


Result = TypeVar("Result")

WITHIN_S: Final = 5.0
"""How long the state of the site may be read for an answer: Prometheus and load balancers wait for ten seconds."""

LATE: Final = timedelta(minutes=1)
"""How long an erasure may be under way before the service counts as not ready.

No one needs a credential to ask: an erasure must not show while it makes progress, or the sender of a revocation would
see whether it ended a consent."""


class Health(BaseModel):
    """`ok`, or what must be done before the service is ready. No numbers about people."""

    status: str = Field(examples=["ok"])
    missing: list[str] = Field(default_factory=list, examples=[[]])
    notes: list[str] = Field(default_factory=list, description="what was done on purpose, such as a pause")


@router.get("/healthz", summary="Liveness: whether the process responds")
async def healthz() -> Health:
    """Respond."""
    return Health(status="ok")


@router.get("/readyz", summary="Readiness: whether doors may send requests", responses={503: {"model": Health}})
async def readyz(app_state: SharedState, response: Response) -> Health:
    """Return what keeps the site from its promises, such as unfinished erasures and data that outlived its clock."""
    stops = app_state.site.stops

    def unrecorded() -> list[str]:
        """Return what keeps withdrawals from being recorded; needs neither the store nor a thread."""
        reason = stops.unrecorded()
        found = [] if reason is None else [f"a withdrawal is not recorded yet, and is retried: {reason}"]
        waiting = app_state.site.changes.pending.unrecorded()
        found += [] if waiting is None else [f"a restriction is not recorded yet, and is retried: {waiting}"]
        if stops.reserve.is_disk_full() or (stops.retries and not stops.reserve.is_kept()):
            found.append("the disk of the site's home is full; make room, or withdrawals may not be recorded")
        return found

    def missing() -> tuple[list[str], list[str]]:
        status = app_state.site.status()
        paused = any(one.zone.state is ZoneState.PAUSED for one in status.zones)
        notes = ["a zone is paused; see 'volens status'"] * paused
        with suppress(TamperError):  # a row of a credential; 'volens doctor' names it
            notes += ["a door or node needs attention; see 'volens fleet'"] * bool(app_state.site.fleet().alarms())
        if app_state.stopping.is_set():
            return ["the service is shutting down; send requests to another one"], notes
        late = app_state.site.now() - LATE
        found = unrecorded()
        found += ["an erasure is not finished; run 'volens sweep'"] * _before(late, status.unfinished_since)
        found += ["a revocation is not carried out; run 'volens sweep'"] * _before(late, status.revocations_since)
        found += ["an erasure order is not finished; run 'volens erase resume'"] * bool(status.unfinished_orders)
        found += ["this process does not follow the store; check whether it is locked"] * app_state.follower.is_late()
        alarm = app_state.site.clocks.quick_alarm()
        return found + ([] if alarm is None else ["data has outlived its clock; run 'volens sweep'"]), notes

    try:
        found, notes = await _read(app_state, missing)
    except UnavailableError as error:
        found, notes = [*unrecorded(), str(error)], []
    if found:
        response.status_code = 503
    return Health(status="not ready" if found else "ok", missing=found, notes=notes)


@router.get(
    "/.well-known/security.txt",
    summary="How to report a vulnerability (RFC 9116)",
    response_class=PlainTextResponse,
    responses={200: {"description": "the contact, and until when it is valid"}},
)
async def security_txt(request: Request, app_state: SharedState) -> str:
    """Return the contact that was set or declared, or else the controller's. 404 if there is none, or it ended."""
    limit_log_reader(request, app_state)
    text = await app_state.page_pool.run(app_state.security_txt)
    if text is None:
        raise HTTPException(404)
    return text


async def _read(app_state: SharedState, read: Callable[[], Result]) -> Result:
    """Read the state of the site in threads of its own, so that no work of a desk delays it, within `WITHIN_S`.

    Raises:
        UnavailableError: it took longer; it goes on in its thread.
    """
    try:
        async with asyncio.timeout(WITHIN_S):
            return await app_state.health_pool.run(read)
    except TimeoutError:
        raise UnavailableError(
            f"the state of the site could not be read within {WITHIN_S:.0f} s; check the load of this machine and of "
            "the database"
        ) from None


def _before(limit: datetime, since: datetime | None) -> bool:
    return since is not None and since <= limit


@guarded.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def read_metrics(app_state: SharedState) -> Response:
    """Return the metrics of the service and of the site."""
    text = await _read(app_state, app_state.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
