"""What takes longer than a caller waits: begun with one request, looked after with others."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from consent import ErasureIncompleteError, InputError, UnavailableError, VolensError
from service.http.access import Caller, GuardedRoute
from service.http.once import Asked, Done, OnceKey, once
from service.http.orders import JobId, answers_folder, dossier_folder
from service.http.pages import Cursor, Limit, Page, cursor, number_at
from service.http.problems import kind_of
from service.http.rooms import Rooms, RoomsOf
from service.http.workroom import BusyError
from store import Job, JobKind, JobState, Role

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
async def begin_job(rooms: RoomsOf, caller: Caller, new: NewJob, key: OnceKey = None) -> Response:
    """Begin a job, and answer at once. It goes on when the caller is gone. What cannot be done soon is not begun."""
    if caller.role not in _WHO_MAY_BEGIN[new.kind]:
        raise HTTPException(403)
    work = _work(rooms, new)
    begun: list[Job] = []

    def begin() -> Done:
        rooms.jobs.check_place()
        begun.append(rooms.site.jobs.begin(new.kind, caller.caller_id))
        return Done(JobAnswer.of(begun[0]))

    answer = await once(rooms.desk, Asked(rooms.site, caller.caller_id, "begin_job", key, new), begin)
    if begun:
        under_way = asyncio.ensure_future(_run(rooms, begun[0], work))
        rooms.unwatched.add(under_way)
        under_way.add_done_callback(rooms.unwatched.discard)
    answer.status_code = 202
    return answer


@router.get("/jobs", summary="Jobs, the newest first")
async def list_jobs(
    rooms: RoomsOf, _caller: Caller, limit: Limit = 50, shown: Annotated[Cursor, Query(alias="cursor")] = None
) -> Page[JobAnswer]:
    """Return the jobs of the last month."""
    before = number_at("jobs", shown)
    found = await rooms.desk.do(lambda: rooms.site.jobs.list(limit + 1, before))
    following = cursor("jobs", found[limit - 1].seq) if len(found) > limit else None
    return Page(items=[JobAnswer.of(one) for one in found[:limit]], next=following)


@router.get("/jobs/{job_id}", summary="One job")
async def read_job(job_id: JobId, rooms: RoomsOf, _caller: Caller) -> JobAnswer:
    """Return how a job stands."""
    return JobAnswer.of(await rooms.desk.do(lambda: rooms.site.jobs.get(job_id)))


class LeavingError(UnavailableError):
    """The service ends; what was begun goes on at the next opening."""


def _work(rooms: Rooms, new: NewJob) -> Callable[[Progress], Mapping[str, Any]]:
    """Return what a job does.

    Raises:
        InputError: a plan that is not wanted, or none.
        RefusedError: the service has no place for dossiers.
    """
    site = rooms.site
    if (new.plan is None) == (new.kind is JobKind.ERASE) or (new.approvals and new.plan is None):
        raise InputError("got a plan or approvals for another kind of job, or none to erase by; send them with 'erase'")
    if new.plan is not None:
        return _erase(rooms, new.plan.encode("utf-8", "replace"), new.approvals)

    def sweep(told: Progress) -> Mapping[str, Any]:
        report = site.sweep(told)
        return {"reasons": report.reasons, "resumed": len(report.resumed), "stray_secrets": report.stray_secrets}

    def verify_log(_told: Progress) -> Mapping[str, Any]:
        report = site.log.verify()
        return {"size": report.size, "root": report.root.hex(), "checkpoints": report.checkpoints}

    return sweep if new.kind is JobKind.SWEEP else verify_log


def _erase(rooms: Rooms, plan: bytes, approvals: list[str]) -> Callable[[Progress], Mapping[str, Any]]:
    site = rooms.site
    cohort_id = site.cohorts.read(plan).cohort_id
    dossier, answers = dossier_folder(rooms.orders, cohort_id), answers_folder(rooms.orders, cohort_id)

    def erase(told: Progress) -> Mapping[str, Any]:
        done = site.cohorts.execute(
            plan, approvals, dossier, answers=answers, answer_requests=site.rights.answerer(), progress=told
        )
        facts = done.cohort.facts
        return {"cohort_id": cohort_id, "before": facts["before"], "after": facts["after"]}

    return erase


async def _run(rooms: Rooms, job: Job, work: Callable[[Progress], Mapping[str, Any]]) -> None:
    """Do a job in a thread, and tell of it while it goes on."""
    so_far = [0, 0]

    def told(done: int, total: int) -> None:
        so_far[:] = done, total
        if rooms.leaving.is_set():
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
            rooms.site.jobs.end(job.job_id, JobState.FAILED, bug)
            raise
        rooms.site.jobs.end(job.job_id, state, outcome)

    under_way = asyncio.ensure_future(rooms.jobs.do(do))
    while not (await asyncio.wait({under_way}, timeout=HEARTBEAT_S))[0]:
        try:
            await rooms.desk.do(partial(rooms.site.jobs.advance, job.job_id, *so_far))
        except UnavailableError:  # the store is busy; the next beat tells it
            continue
    try:
        await under_way
    except BusyError as error:  # somebody took the last place in the same moment
        outcome = {"kind": kind_of(error), "detail": str(error)}
        await rooms.desk.do(partial(rooms.site.jobs.end, job.job_id, JobState.FAILED, outcome))
