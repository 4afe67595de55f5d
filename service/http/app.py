"""The application: operations, what stands before them, and what an error becomes."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Protocol

from fastapi import FastAPI

from service.http import (
    certificates,
    desk,
    doors,
    factors,
    health,
    hooks,
    jobs,
    metrics,
    orders,
    problems,
    requests,
    rights,
    stream,
    zones,
)
from service.http import log as audit_log
from service.http.bodies import keep_forms_in_memory
from service.http.description import describe
from service.http.intake import BODY_TIMEOUT_S, Intake
from service.http.observing import Seen
from service.http.rooms import Rooms
from service.logs import Log

_SAID = """Doors that know only who said yes, and forget them on request. Errors are problem+json (RFC 9457)."""


class Supervised(Protocol):
    """Whoever started this process, and wants to be told."""

    def ready(self) -> None:
        """Requests are answered from now on."""

    def stopping(self) -> None:
        """What was begun is being finished."""


def application(
    rooms: Rooms,
    *,
    body_timeout_s: float = BODY_TIMEOUT_S,
    log: Log | None = None,
    supervisor: Supervised | None = None,
) -> FastAPI:
    """Return the application of a site. Whoever runs it closes `rooms` and the site afterwards.

    Args:
        rooms: of the site.
        body_timeout_s: within which a body must be here.
        log: gets a line for each request; without it nothing is written.
        supervisor: is told when requests are answered, and when no more.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await rooms.models.do(lambda: rooms.site.extractor)  # or the first person at a door would wait for it
        rooms.courier.start()
        await rooms.desk.do(rooms.decisions.start)
        rooms.follower.start()
        if supervisor is not None:
            supervisor.ready()
        yield
        if supervisor is not None:
            supervisor.stopping()

    def observe(seen: Seen) -> None:
        rooms.metrics(seen)
        rooms.decisions.answered(seen.credential_id, seen.zone, seen.operation, seen.status, seen.faces or {})
        if log is not None:
            log.info("request", **seen.fields())

    app = FastAPI(
        title="Volens",
        description=_SAID,
        version=version("volens"),
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        # Its records would carry messages and traces of exceptions to whatever exporter the machine has set.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=lambda route: route.name,
        # Instead of what FastAPI would say of a body that does not fit, which is not what we answer.
        responses={"default": {"description": "a problem", "content": {problems.MEDIA_TYPE: {}}}},
        form_limits={"max_files": 40, "max_fields": 20},
    )
    app.state.rooms = rooms
    keep_forms_in_memory()
    app.add_middleware(Intake, body_timeout_s=body_timeout_s, observe=observe)
    problems.install(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(requests.asking, prefix="/v1")
    for part in (doors, stream, zones, desk, factors, rights, requests, orders, jobs, hooks, certificates, audit_log):
        app.include_router(part.router, prefix="/v1")
    describe(app)
    return app
