"""What takes longer than a caller waits: begun with one request, looked after with others."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from volens.consent import ErasureIncompleteError, InputError, UnavailableError, VolensError
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import AppState, RoomsOf
from volens.service.http.idempotency import IdempotencyKey, IdempotentRequest, StoredOutcome, idempotent
from volens.service.http.order_routes import JobId, answers_folder, dossier_folder
from volens.service.http.pagination import Cursor, Limit, Page, cursor, number_at
from volens.service.http.problems import kind_of
from volens.service.http.thread_pool import BusyError
from volens.store.programs import JobKind, JobState, Role
from volens.store.programs.jobs import Job

HEARTBEAT_S: Final = 5.0
MAX_PLAN_BYTES: Final = 2**20

router: Final = APIRouter(tags=["jobs"], route_class=GuardedRoute)

_WHO_MAY_BEGIN: Final[Mapping[JobKind, frozenset[Role]]] = {
    JobKind.SWEEP: frozenset({Role.PRIVACY_OFFICER, Role.OPERATOR}),
    JobKind.VERIFY_LOG: frozenset({Role.PRIVACY_OFFICER, Role.AUDITOR}),
    JobKind.ERASE: frozenset({Role.PRIVACY_OFFICER}),
}
Progress: TypeAlias = Callable[[int, int], None]
"""Is told how much is done, of how much."""


class NewJob(BaseModel):
    """What is to be done."""

    model_config = ConfigDict(extra="forbid")
    kind: JobKind = Field(examples=["sweep"])
    plan: str | None = Field(None, description="with `erase`: the plan's file")
    approvals: list[str] = Field(
        default_factory=list, description="with `erase`: operators' approvals, as signed", max_length=20
    )


class JobAnswer(BaseModel):
    """A job as it stands."""

    job_id: str
    kind: JobKind
    state: JobState
    done: int = Field(description="how much of `total`; 0 of 0 while that is not known")
    total: int
    outcome: dict[str, Any] | None = Field(description="numbers of what was done, or `kind` and `detail` of a problem")
    begun_at: datetime

    @classmethod
    def of(cls, job: Job) -> "JobAnswer":
        """Say how a job stands."""
        outcome = None if job.outcome is None else dict(job.outcome)
        return cls(
            job_id=job.job_id,
            kind=job.kind,
            state=job.state,
            done=job.done,
            total=job.total,
            outcome=outcome,
            begun_at=job.begun_at,
        )


@router.post(
    "/jobs", status_code=202, response_model=JobAnswer, summary="Begin what takes long", max_body_size=MAX_PLAN_BYTES
)
async def begin_job(app_state: RoomsOf, caller: Caller, new: NewJob, key: IdempotencyKey = None) -> Response:
    """Begin a job, and answer at once. It goes on when the caller is gone. What cannot be done soon is not begun."""
    if caller.role not in _WHO_MAY_BEGIN[new.kind]:
        raise HTTPException(403)
    work = _work(app_state, new)
    begun: list[Job] = []

    def begin() -> StoredOutcome:
        app_state.jobs.check_place()
        begun.append(app_state.site.jobs.begin(new.kind, caller.caller_id))
        return StoredOutcome(JobAnswer.of(begun[0]))

    answer = await idempotent(
        app_state.desk, IdempotentRequest(app_state.site, caller.caller_id, "begin_job", key, new), begin
    )
    if begun:
        under_way = asyncio.ensure_future(_run(app_state, begun[0], work))
        app_state.unwatched.add(under_way)
        under_way.add_done_callback(app_state.unwatched.discard)
    answer.status_code = 202
    return answer


@router.get("/jobs", summary="Jobs, the newest first")
async def list_jobs(
    app_state: RoomsOf, _caller: Caller, limit: Limit = 50, shown: Annotated[Cursor, Query(alias="cursor")] = None
) -> Page[JobAnswer]:
    """Return the jobs of the last month."""
    before = number_at("jobs", shown)
    found = await app_state.desk.do(lambda: app_state.site.jobs.list(limit + 1, before))
    following = cursor("jobs", found[limit - 1].seq) if len(found) > limit else None
    return Page(items=[JobAnswer.of(one) for one in found[:limit]], next=following)


@router.get("/jobs/{job_id}", summary="One job")
async def read_job(job_id: JobId, app_state: RoomsOf, _caller: Caller) -> JobAnswer:
    """Return how a job stands."""
    return JobAnswer.of(await app_state.desk.do(lambda: app_state.site.jobs.get(job_id)))


class LeavingError(UnavailableError):
    """The service ends; what was begun goes on at the next opening."""


def _work(app_state: AppState, new: NewJob) -> Callable[[Progress], Mapping[str, Any]]:
    """Return what a job does.

    Raises:
        InputError: a plan that is not wanted, or none.
        RefusedError: the service has no place for dossiers.
    """
    site = app_state.site
    if (new.plan is None) == (new.kind is JobKind.ERASE) or (new.approvals and new.plan is None):
        raise InputError("got a plan or approvals for another kind of job, or none to erase by; send them with 'erase'")
    if new.plan is not None:
        return _erase(app_state, new.plan.encode("utf-8", "replace"), new.approvals)

    def sweep(told: Progress) -> Mapping[str, Any]:
        report = site.sweep(told)
        return {"reasons": report.reasons, "resumed": len(report.resumed), "stray_secrets": report.stray_secrets}

    def verify_log(_told: Progress) -> Mapping[str, Any]:
        report = site.log.verify()
        return {"size": report.size, "root": report.root.hex(), "checkpoints": report.checkpoints}

    return sweep if new.kind is JobKind.SWEEP else verify_log


def _erase(app_state: AppState, plan: bytes, approvals: list[str]) -> Callable[[Progress], Mapping[str, Any]]:
    site = app_state.site
    cohort_id = site.cohorts.read(plan).cohort_id
    dossier, answers = dossier_folder(app_state.orders, cohort_id), answers_folder(app_state.orders, cohort_id)

    def erase(told: Progress) -> Mapping[str, Any]:
        done = site.cohorts.execute(
            plan, approvals, dossier, answers=answers, answer_requests=site.rights.answerer(), progress=told
        )
        facts = done.cohort.facts
        return {"cohort_id": cohort_id, "before": facts["before"], "after": facts["after"]}

    return erase


async def _run(app_state: AppState, job: Job, work: Callable[[Progress], Mapping[str, Any]]) -> None:
    """Do a job in a thread, and tell of it while it goes on."""
    so_far = [0, 0]

    def told(done: int, total: int) -> None:
        so_far[:] = done, total
        if app_state.leaving.is_set():
            raise LeavingError("the service ended; what was begun goes on at its next start, ask for the job again")

    def do() -> None:
        try:
            outcome, state = work(told), JobState.DONE
        except VolensError as error:
            outcome, state = {"kind": kind_of(error), "detail": str(error)}, JobState.FAILED
            if isinstance(error, ErasureIncompleteError):
                outcome["detail"] = "an erasure is not finished: matching has stopped; run a sweep"
        except BaseException as error:
            bug = {"kind": "internal", "detail": f"internal error ({type(error).__name__}); please report it"}
            app_state.site.jobs.end(job.job_id, JobState.FAILED, bug)
            raise
        app_state.site.jobs.end(job.job_id, state, outcome)

    under_way = asyncio.ensure_future(app_state.jobs.do(do))
    while not (await asyncio.wait({under_way}, timeout=HEARTBEAT_S))[0]:
        try:
            await app_state.desk.do(partial(app_state.site.jobs.advance, job.job_id, *so_far))
        except UnavailableError:  # the store is busy; the next beat tells it
            continue
    try:
        await under_way
    except BusyError as error:  # somebody took the last place in the same moment
        outcome = {"kind": kind_of(error), "detail": str(error)}
        await app_state.desk.do(partial(app_state.site.jobs.end, job.job_id, JobState.FAILED, outcome))
