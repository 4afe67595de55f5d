"""The FastAPI application: all routes, the middleware, and the conversion of errors."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Protocol

from fastapi import FastAPI

from volens.face.inference import use_calling_threads_only
from volens.service.cosigning import WitnessResult
from volens.service.http import certificate_routes as certificates
from volens.service.http import change_routes as changes
from volens.service.http import consent_routes as consents
from volens.service.http import desk_routes as desk
from volens.service.http import directory_routes as directory
from volens.service.http import door_routes as doors
from volens.service.http import fleet_routes as fleet
from volens.service.http import health_routes as health
from volens.service.http import hook_routes as hooks
from volens.service.http import invitation_routes as invitations
from volens.service.http import job_routes as jobs
from volens.service.http import lease_routes as leases
from volens.service.http import log_routes as audit_log
from volens.service.http import order_routes as orders
from volens.service.http import person_routes as people
from volens.service.http import problems
from volens.service.http import public_log_routes as public_log
from volens.service.http import public_paper_routes as public_papers
from volens.service.http import request_routes as requests
from volens.service.http import restriction_routes as restrictions
from volens.service.http import staff_routes as staff
from volens.service.http import stream_routes as stream
from volens.service.http import zone_routes as zones
from volens.service.http.app_state import AppState
from volens.service.http.bodies import MAX_JSON_BYTES, keep_forms_in_memory
from volens.service.http.openapi import describe
from volens.service.http.request_middleware import BODY_TIMEOUT_S, RequestMiddleware, RequestRecord
from volens.service.process.service_log import Log


class LifecycleListener(Protocol):
    """The process that started this one, such as systemd or the parent of workers."""

    def ready(self) -> None:
        """Handle that the service is ready for requests."""

    def stopping(self) -> None:
        """Handle that the service finishes running requests and then stops."""


def application(
    app_state: AppState,
    *,
    body_timeout_s: float = BODY_TIMEOUT_S,
    log: Log | None = None,
    listener: LifecycleListener | None = None,
    add_pages: Callable[[FastAPI], None] | None = None,
) -> FastAPI:
    """Return the application of a site. The caller closes `app_state` and then the site.

    `add_pages` adds the pages for people; they are built on this room, so it does not import them.
    """

    def load_models() -> None:
        extractor, galleries = app_state.site.extractor, app_state.site.installation.galleries
        if galleries.served is not None:
            galleries.load(extractor.model.model_id, extractor.model.dimension)
        use_calling_threads_only()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await app_state.model_pool.run(load_models)  # else the first person would wait for it
        app_state.webhook_sender.start()
        app_state.witness_collector.start(partial(_report_witness, log))
        await app_state.desk_pool.run(app_state.decisions.start)
        app_state.sightings.start()
        await app_state.desk_pool.run(app_state.stop_keeper.start)
        app_state.follower.start()
        if listener is not None:
            listener.ready()
        yield
        if listener is not None:
            listener.stopping()

    def observe(record: RequestRecord) -> None:
        app_state.metrics.count(record.operation, record.status, record.seconds)
        app_state.decisions.count_request(
            record.credential_id, record.zone, record.operation, record.status, record.faces or {}
        )
        if record.faces and record.credential_id is not None:
            app_state.note_decision(record.credential_id, record.zone)
        if log is not None:
            log.info("request", **record.fields())

    app = _empty(lifespan)
    app.state.app_state = app_state
    keep_forms_in_memory()
    app.add_middleware(RequestMiddleware, body_timeout_s=body_timeout_s, observe=observe)
    problems.install(app)
    _add_routes(app)
    if add_pages is not None:
        add_pages(app)
    describe(app)
    return app


def _report_witness(log: Log | None, result: WitnessResult) -> None:
    if log is None:
        return
    facts = {"witness": result.witness.witness_id, "size": result.size}
    if result.problem is None:
        log.info("cosigned", **facts)
    else:
        log.error("not cosigned", **facts, problem=result.problem)


def interface() -> FastAPI:
    """Return the application without a site: it answers nothing, and describes every operation of the interface."""
    app = _empty(None)
    _add_routes(app)
    describe(app)
    return app


def _empty(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None) -> FastAPI:
    return FastAPI(
        title="Volens",
        description="Face recognition for people who gave consent. Errors are problem+json (RFC 9457).",
        version=version("volens"),
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        # Its records would send messages and traces of exceptions to any exporter that the machine has configured.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=lambda route: route.name,
        # Instead of FastAPI's description of a validation error, which is not what we return.
        responses={"default": {"description": "a problem", "content": {problems.MEDIA_TYPE: {}}}},
        form_limits={"max_files": 40, "max_fields": 20},
    )


def _add_routes(app: FastAPI) -> None:
    app.include_router(health.router)
    app.include_router(health.guarded)
    parts = (
        people,
        doors,
        fleet,
        leases,
        stream,
        zones,
        staff,
        consents,
        desk,
        invitations,
        changes,
        directory,
        requests,
        jobs,
        orders,
        hooks,
        audit_log,
        certificates,
        public_log,
        public_papers,
    )
    for router in (*(part.router for part in parts), jobs.orders, restrictions.persons, restrictions.desk):
        app.include_router(router, prefix="/v1", max_body_size=MAX_JSON_BYTES)
