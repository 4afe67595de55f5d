"""The application: operations, what stands before them, and what an error becomes."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Protocol

from fastapi import FastAPI

from volens.service.http import certificate_routes as certificates
from volens.service.http import desk_routes as desk
from volens.service.http import door_routes as doors
from volens.service.http import factor_routes as factors
from volens.service.http import health_routes as health
from volens.service.http import hook_routes as hooks
from volens.service.http import job_routes as jobs
from volens.service.http import log_routes as audit_log
from volens.service.http import metrics_routes as metrics
from volens.service.http import order_routes as orders
from volens.service.http import problems
from volens.service.http import request_routes as requests
from volens.service.http import stream_routes as stream
from volens.service.http import withdrawal_routes as rights
from volens.service.http import zone_routes as zones
from volens.service.http.app_state import AppState
from volens.service.http.bodies import keep_forms_in_memory
from volens.service.http.openapi import describe
from volens.service.http.request_middleware import BODY_TIMEOUT_S, RequestMiddleware
from volens.service.http.request_observer import RequestRecord
from volens.service.process.service_log import Log

_SAID = """Doors that know only who said yes, and forget them on request. Errors are problem+json (RFC 9457)."""


class Supervised(Protocol):
    """Whoever started this process, and wants to be told."""

    def ready(self) -> None:
        """Requests are answered from now on."""

    def stopping(self) -> None:
        """What was begun is being finished."""


def application(
    app_state: AppState,
    *,
    body_timeout_s: float = BODY_TIMEOUT_S,
    log: Log | None = None,
    supervisor: Supervised | None = None,
) -> FastAPI:
    """Return the application of a site. Whoever runs it closes `app_state` and the site afterwards.

    Args:
        app_state: of the site.
        body_timeout_s: within which a body must be here.
        log: gets a line for each request; without it nothing is written.
        supervisor: is told when requests are answered, and when no more.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await app_state.models.do(lambda: app_state.site.extractor)  # or the first person at a door would wait for it
        app_state.courier.start()
        await app_state.desk.do(app_state.decisions.start)
        app_state.follower.start()
        if supervisor is not None:
            supervisor.ready()
        yield
        if supervisor is not None:
            supervisor.stopping()

    def observe(seen: RequestRecord) -> None:
        app_state.metrics(seen)
        app_state.decisions.answered(seen.credential_id, seen.zone, seen.operation, seen.status, seen.faces or {})
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
    app.state.app_state = app_state
    keep_forms_in_memory()
    app.add_middleware(RequestMiddleware, body_timeout_s=body_timeout_s, observe=observe)
    problems.install(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(requests.asking, prefix="/v1")
    for part in (doors, stream, zones, desk, factors, rights, requests, orders, jobs, hooks, certificates, audit_log):
        app.include_router(part.router, prefix="/v1")
    describe(app)
    return app
