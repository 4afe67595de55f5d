"""Erasure by order, over the network: a dry run, a plan that operators approve elsewhere, a job that carries it out.

Operators' keys never come here: they approve a plan on a machine of theirs (`volens erase --approve`).
"""

import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Response
from fastapi import Path as InPath
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt

from volens.consent import InputError, RefusedError, UnavailableError
from volens.erase.order import Selection
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import RoomsOf
from volens.service.http.bodies import MAX_JSON_BYTES, ZIPPED, zip_named
from volens.service.http.idempotency import IdempotencyKey, IdempotentRequest, StoredOutcome, idempotent
from volens.store.programs import JobKind, JobState

JobId: TypeAlias = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]

router: Final = APIRouter(tags=["orders"], route_class=GuardedRoute)


class NewPlan(BaseModel):
    """Who is meant; all that is given must fit."""

    model_config = ConfigDict(extra="forbid")
    jurisdiction: str | None = Field(None, description="people protected by this law: ISO 3166", examples=["FR"])
    zone: str | None = Field(None, description="consents for this zone", max_length=200)
    notice_version: StrictInt | None = Field(None, description="consents to the notice of this version")
    model: str | None = Field(None, description="people with a reference of this model", max_length=200)
    before: AwareDatetime | None = Field(None, description="consents given before this moment")


class PlanAnswer(BaseModel):
    """A dry run: nobody is erased."""

    cohort_id: str
    selection: dict[str, Any]
    counts: dict[str, Any] = Field(description="who is meant, and who stays")
    operators_required: int
    good_until: datetime
    plan: str = Field(description="the plan's file: for operators to approve, and for the job that carries it out")


@router.post(
    "/orders/plans", status_code=201, response_model=PlanAnswer, summary="A dry run", max_body_size=MAX_JSON_BYTES
)
async def plan_order(app_state: RoomsOf, caller: Caller, new: NewPlan, key: IdempotencyKey = None) -> Response:
    """Count who is meant, and sign a plan that is good for a week."""
    site = app_state.site
    selection = Selection.declare(**new.model_dump())

    def make() -> StoredOutcome:
        made, data = site.cohorts.plan(selection)
        return StoredOutcome(
            PlanAnswer(
                cohort_id=made.cohort_id,
                selection=made.selection.document(),
                counts=dict(made.counts),
                operators_required=made.required,
                good_until=made.good_until,
                plan=data.decode("ascii"),
            )
        )

    return await idempotent(app_state.desk, IdempotentRequest(site, caller.caller_id, "plan_order", key, new), make)


@router.get(
    "/jobs/{job_id}/dossier",
    summary="The dossier of an order that was carried out",
    response_class=Response,
    responses=ZIPPED,
)
async def read_dossier(job_id: JobId, app_state: RoomsOf, _caller: Caller) -> Response:
    """Return the dossier's folder as a zip; check it with ``volens dossier verify`` and the site's public key."""
    data = await app_state.desk.do(lambda: _zipped(dossier_folder(app_state.orders, _carried_out(app_state, job_id))))
    return zip_named(f"dossier-{job_id}", data)


def dossier_folder(orders: Path | None, cohort_id: str) -> Path:
    """Return where the dossier of an order is, or is to be.

    Raises:
        RefusedError: the service has no place for it.
        UnavailableError: the place is not there: nobody may be erased whose dossier could not be written.
    """
    if orders is None:
        raise RefusedError(
            "this service has no folder for dossiers and answers; set 'orders' in its configuration, or use 'volens "
            "erase --execute'"
        )
    if not orders.is_dir():
        raise UnavailableError(
            "the folder for dossiers and answers that 'orders' names is not there; have it made, and ask again"
        )
    return orders / f"{cohort_id}.dossier"


def answers_folder(orders: Path | None, cohort_id: str) -> Path:
    """Return where the answers to open requests go; see `dossier_folder`."""
    return dossier_folder(orders, cohort_id).with_suffix(".answers")


def _carried_out(app_state: RoomsOf, job_id: str) -> str:
    job = app_state.site.jobs.get(job_id)
    if job.kind is not JobKind.ERASE or job.state is not JobState.DONE or job.outcome is None:
        raise InputError("this job has no dossier; it is of another kind, or not done")
    return str(job.outcome["cohort_id"])


def _zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return out.getvalue()
