"""Jobs: long tasks that one request starts and other requests follow; and the plans and dossiers of erasure orders.

Operators' keys never reach the service: they approve a plan on their own machine (`volens erase --approve`).
"""

import asyncio
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field, StrictInt
from starlette.exceptions import HTTPException

from volens import Site
from volens.consent import ErasureIncompleteError, InputError, RefusedError, UnavailableError, VolensError
from volens.erase.order import Selection
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import ZIP_RESPONSE, Id, IdInPath, RequestBody, Time, zip_response
from volens.service.http.idempotency import Idempotent, StorableResponse
from volens.service.http.pagination import Cursor, Limit, Page, decode_number_cursor, encode_cursor
from volens.service.http.problems import kind_of, reason_of
from volens.service.http.thread_pool import BusyError
from volens.store.programs import JobKind, JobState, Role
from volens.store.programs.jobs import Job
from volens.store.promises.operators import DEFAULT_REQUIRED

HEARTBEAT_S: Final = 5.0
MAX_PLAN_BYTES: Final = 2**20

router: Final = APIRouter(tags=["jobs"], route_class=GuardedRoute)
orders: Final = APIRouter(tags=["orders"], route_class=GuardedRoute)

_ROLES_FOR: Final[Mapping[JobKind, frozenset[Role]]] = {
    JobKind.SWEEP: frozenset({Role.PRIVACY_OFFICER, Role.OPERATOR}),
    JobKind.VERIFY_LOG: frozenset({Role.PRIVACY_OFFICER, Role.AUDITOR}),
    JobKind.ERASE: frozenset({Role.PRIVACY_OFFICER}),
}
Progress: TypeAlias = Callable[[int, int], None]  # how much is done, and the total
Work: TypeAlias = Callable[[Progress], Mapping[str, Any]]


class NewJob(RequestBody):
    """A job to start."""

    kind: JobKind = Field(examples=["sweep"])
    plan: str | None = Field(None, description="with `erase`: the plan's file; it needs two operators' approvals")
    order: str | None = Field(
        None, pattern="^[0-9a-f]{32}$", description="with `erase`, instead of `plan`: an order that was proposed"
    )
    approvals: list[str] = Field(
        default_factory=list, description="with `erase`: the signed approvals of operators", max_length=20
    )


class JobAnswer(BaseModel):
    """The state of a job."""

    job_id: Id
    kind: JobKind
    state: JobState = Field(examples=["done"])
    done: int = Field(description="progress, out of `total`; 0 of 0 while the total is unknown", examples=[3])
    total: int = Field(examples=[3])
    outcome: dict[str, Any] | None = Field(
        description="the result in numbers, or `kind` and `detail` of a problem; null while the job runs",
        examples=[{"reasons": {"expired": 3}, "resumed": 0, "stray_secrets": 0, "outdated": {"requests": 1}}],
    )
    begun_at: Time


class NewPlan(RequestBody):
    """The people whom the order affects; a person must fit all members that are given."""

    jurisdiction: str | None = Field(None, description="people protected by this law: ISO 3166", examples=["FR"])
    zone: str | None = Field(None, description="consents for this zone", max_length=200)
    notice_version: StrictInt | None = Field(None, description="consents to this version of the notice")
    model: str | None = Field(None, description="people with a reference of this model", max_length=200)
    before: AwareDatetime | None = Field(None, description="consents given before this time")


class PlanAnswer(BaseModel):
    """The result of a dry run, which erases nothing."""

    cohort_id: Id
    selection: dict[str, Any] = Field(examples=[{"jurisdiction": "FR"}])
    counts: dict[str, Any] = Field(
        description="numbers of the people affected, and of the others",
        examples=[{"cohort": {"people": 2}, "outside": {"people": 5}}],
    )
    operators_required: int = Field(examples=[2])
    good_until: datetime = Field(examples=["2026-12-04T08:00:00Z"])
    plan: str = Field(
        description="the plan's file: operators approve it, and a job executes it",
        examples=['{"plan": "eyJ...", "approvals": []}\n'],
    )


class LeavingError(UnavailableError):
    """The service is shutting down; started erasures continue when the site is opened again."""


@router.post("/jobs", status_code=202, response_model=JobAnswer, summary="Start a job", max_body_size=MAX_PLAN_BYTES)
async def begin_job(app_state: SharedState, caller: Caller, new: NewJob, idempotent: Idempotent) -> Response:
    """Start a job, and respond at once; it continues if the caller disconnects. With a full queue it is refused."""
    if caller.role not in _ROLES_FOR[new.kind]:
        raise HTTPException(403)
    work = _work(app_state, new)
    begun: list[Job] = []

    def begin() -> StorableResponse:
        app_state.job_pool.check_capacity()
        begun.append(app_state.site.programs.jobs.begin(new.kind, caller.caller_id))
        return StorableResponse(JobAnswer(**asdict(begun[0])))

    response = await idempotent.run(app_state.desk_pool, begin, new)
    if begun:
        app_state.keep_until_done(asyncio.ensure_future(_run(app_state, begun[0], work)))
    response.status_code = 202
    return response


@router.get("/jobs", summary="List jobs, the newest first")
async def list_jobs(app_state: SharedState, limit: Limit = 50, cursor: Cursor = None) -> Page[JobAnswer]:
    """Return the jobs of the last month."""
    before = decode_number_cursor("jobs", cursor)
    found = await app_state.desk_pool.run(lambda: app_state.site.programs.jobs.list(limit + 1, before))
    following = encode_cursor("jobs", found[limit - 1].seq) if len(found) > limit else None
    return Page(items=[JobAnswer(**asdict(one)) for one in found[:limit]], next=following)


@router.get("/jobs/{job_id}", summary="One job")
async def read_job(job_id: IdInPath, app_state: SharedState) -> JobAnswer:
    """Return the state of a job."""
    return JobAnswer(**asdict(await app_state.desk_pool.run(lambda: app_state.site.programs.jobs.get(job_id))))


def _work(app_state: AppState, new: NewJob) -> Work:
    """Return the function that does a job.

    Raises:
        InputError: a plan is missing, or not expected.
        RefusedError: the service has no folder for dossiers.
    """
    site = app_state.site
    given = (new.plan is not None) + (new.order is not None)
    if given != (new.kind is JobKind.ERASE) or (new.approvals and not given):
        raise InputError(
            "a job 'erase' needs either a plan or an order, and other jobs take neither them nor approvals; "
            "change the body"
        )
    if new.order is not None:
        return _erase(app_state, site.cohorts.plan_file(new.order), new.approvals)
    if new.plan is not None:
        _refuse_one_person_alone(site)
        return _erase(app_state, new.plan.encode("utf-8", "replace"), new.approvals)

    def sweep(progress: Progress) -> Mapping[str, Any]:
        report = site.sweep(progress)
        return {
            "reasons": report.reasons,
            "resumed": len(report.resumed),
            "stray_secrets": report.stray_secrets,
            "outdated": dict(report.outdated),
        }

    def verify_log(_progress: Progress) -> Mapping[str, Any]:
        report = site.log.verify()
        return {"size": report.size, "root": report.root.hex(), "checkpoints": report.checkpoints}

    return sweep if new.kind is JobKind.SWEEP else verify_log


def _refuse_one_person_alone(site: Site) -> None:
    """Refuse an order that neither two operators nor a second officer must approve.

    Raises:
        RefusedError: the site requires one operator only, who would be the caller.
    """
    if site.cohorts.operators_required() < DEFAULT_REQUIRED:
        raise RefusedError(
            "this site requires no second operator, so over the service a second privacy officer approves an order; "
            "propose it with POST /v1/orders"
        )


def _erase(app_state: AppState, plan: bytes, approvals: list[str]) -> Work:
    site = app_state.site
    cohort_id = site.cohorts.read(plan).cohort_id
    dossier = dossier_folder(app_state.orders_folder, cohort_id)

    def erase(progress: Progress) -> Mapping[str, Any]:
        done = site.cohorts.execute(
            plan,
            approvals,
            dossier,
            answers=dossier.with_suffix(".answers"),
            answer_requests=site.rights.answer_all,
            progress=progress,
        )
        facts = done.cohort.facts
        return {"cohort_id": cohort_id, "before": facts["before"], "after": facts["after"]}

    return erase


async def _run(app_state: AppState, job: Job, work: Work) -> None:
    """Run a job in a thread, and store its progress every `HEARTBEAT_S`."""
    jobs = app_state.site.programs.jobs
    so_far = [0, 0]

    def progress(done: int, total: int) -> None:
        so_far[:] = done, total
        if app_state.stopping.is_set():
            raise LeavingError(
                "the service shut down; started erasures continue at its next start; start the job again"
            )

    def run() -> None:
        try:
            outcome, state = work(progress), JobState.DONE
        except VolensError as error:
            outcome, state = _failure(error), JobState.FAILED
            if isinstance(error, ErasureIncompleteError):
                outcome["detail"] = "an erasure is not finished: matching has stopped; run a sweep"
        except BaseException as error:
            bug = {"kind": "internal", "detail": f"internal error ({type(error).__name__}); please report it"}
            jobs.end(job.job_id, JobState.FAILED, bug)
            raise
        jobs.end(job.job_id, state, outcome)

    running = asyncio.ensure_future(app_state.job_pool.run(run))
    while not (await asyncio.wait({running}, timeout=HEARTBEAT_S))[0]:
        try:
            await app_state.desk_pool.run(partial(jobs.advance, job.job_id, *so_far))
        except UnavailableError:  # the store is locked; the next heartbeat stores it
            continue
    try:
        await running
    except BusyError as error:  # another job took the last place in the same moment
        outcome = _failure(error)
        await app_state.desk_pool.run(partial(jobs.end, job.job_id, JobState.FAILED, outcome))


def _failure(error: VolensError) -> dict[str, Any]:
    return {"kind": kind_of(error), "detail": str(error), **reason_of(error)}


@orders.post("/orders/plans", status_code=201, response_model=PlanAnswer, summary="Plan an order")
async def plan_order(app_state: SharedState, new: NewPlan, idempotent: Idempotent) -> Response:
    """Count the people affected, and sign a plan that is valid for a week. Nothing is erased."""
    selection = Selection.declare(**new.model_dump())

    def make() -> StorableResponse:
        made, data = app_state.site.cohorts.plan(selection)
        body = PlanAnswer(
            cohort_id=made.cohort_id,
            selection=made.selection.document(),
            counts=dict(made.counts),
            operators_required=made.required,
            good_until=made.good_until,
            plan=data.decode("ascii"),
        )
        return StorableResponse(body)

    return await idempotent.run(app_state.desk_pool, make, new)


@orders.get(
    "/jobs/{job_id}/dossier",
    summary="The dossier of an executed order",
    response_class=Response,
    responses=ZIP_RESPONSE,
)
async def read_dossier(job_id: IdInPath, app_state: SharedState) -> Response:
    """Return the dossier's folder as a zip; verify it with ``volens dossier verify`` and the site's public key."""
    folder, pool = app_state.orders_folder, app_state.answer_pool
    data = await pool.run(lambda: _zip(dossier_folder(folder, _executed_cohort(app_state, job_id))))
    return zip_response(f"dossier-{job_id}", data)


def dossier_folder(orders_folder: Path | None, cohort_id: str) -> Path:
    """Return the path of the dossier of an order, whether it exists yet or not.

    Raises:
        RefusedError: the service has no folder for dossiers.
        UnavailableError: the folder does not exist; no one may be erased if the dossier cannot be written.
    """
    if orders_folder is None:
        raise RefusedError(
            "this service has no folder for dossiers and answers; set 'orders' in its configuration, or use 'volens "
            "erase --execute'"
        )
    if not orders_folder.is_dir():
        raise UnavailableError(
            "the folder for dossiers and answers that 'orders' names does not exist; create it, and retry"
        )
    return orders_folder / f"{cohort_id}.dossier"


def _executed_cohort(app_state: AppState, job_id: str) -> str:
    job = app_state.site.programs.jobs.get(job_id)
    if job.kind is not JobKind.ERASE or job.state is not JobState.DONE or job.outcome is None:
        raise InputError("this job has no dossier; it is of another kind, or not done")
    return str(job.outcome["cohort_id"])


def _zip(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return out.getvalue()
