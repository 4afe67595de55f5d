"""Erasure orders under dual control, and recipients that have not answered, for the privacy officer."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from volens import Site
from volens.erase.order import ProposedOrder, Selection
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import EXAMPLE_ID, Id, IdInPath, Time, refuse_get
from volens.service.http.idempotency import Idempotent, StorableResponse
from volens.service.http.job_routes import NewPlan

router: Final = APIRouter(tags=["orders"], route_class=GuardedRoute)


class OrderAnswer(BaseModel):
    """A proposed order."""

    cohort_id: Id
    selection: dict[str, Any] = Field(examples=[{"jurisdiction": "FR"}])
    counts: dict[str, Any] = Field(
        description="numbers of the people affected, and of the others",
        examples=[{"cohort": {"people": 2}, "outside": {"people": 5}}],
    )
    operators_required: int = Field(description="how many operators must sign the plan; 1 is none", examples=[2])
    good_until: Time
    proposed_by: str = Field(description="the id of the credential that proposed it", examples=["86c42cc34fe8d921"])
    proposed_at: Time
    approved_by: str | None = Field(description="the id of another credential; null while it waits for approval")
    approved_at: datetime | None
    begun_at: datetime | None
    finished_at: datetime | None
    plan: str = Field(description="the plan's file, for operators to sign", examples=['{"plan": "eyJ..."}\n'])


class UnansweredAnswer(BaseModel):
    """A recipient that has not acknowledged an erasure."""

    certificate_id: Id
    recipient: str = Field(examples=["Door panels"])
    zone: str = Field(examples=["lobby"])
    told_at: Time
    message_id: str | None = Field(description="a webhook message that is not delivered yet; null without one")
    attempts: int = Field(description="how many attempts to deliver it failed", examples=[2])
    due_at: datetime | None = Field(description="the next attempt is not before this time; null if there is none")
    last_problem: str | None = Field(description="why the last attempt failed")


class UnansweredList(BaseModel):
    """The recipients that have not acknowledged an erasure, the oldest erasure first; at most 200."""

    items: list[UnansweredAnswer]


class OrderList(BaseModel):
    """The proposed orders, the newest first."""

    items: list[OrderAnswer]


class Retried(BaseModel):
    """A message that is delivered again now."""

    message_id: str = Field(examples=[f"msg_{EXAMPLE_ID}"])


@router.post("/orders", status_code=201, response_model=OrderAnswer, summary="Propose an order")
async def propose_order(app_state: SharedState, caller: Caller, new: NewPlan, idempotent: Idempotent) -> Response:
    """Count the people affected, sign a plan, and ask for the approval of a second officer. Nothing is erased."""
    site, selection = app_state.site, Selection.declare(**new.model_dump())

    def propose() -> StorableResponse:
        plan = site.cohorts.propose(selection, caller.caller_id)
        return StorableResponse(_order(site, site.cohorts.proposal(plan.cohort_id)))

    return await idempotent.run(app_state.desk_pool, propose, new)


@router.get("/orders", summary="List proposed orders")
async def list_orders(app_state: SharedState) -> OrderList:
    """Return the proposed orders, approved or not, the newest first."""
    site = app_state.site
    return await app_state.desk_pool.run(
        lambda: OrderList(items=[_order(site, one) for one in site.cohorts.proposals()])
    )


refuse_get(router, "/orders/plans")


@router.get("/orders/{cohort_id}", summary="One proposed order")
async def read_order(cohort_id: IdInPath, app_state: SharedState) -> OrderAnswer:
    """Return a proposed order with its plan."""
    site = app_state.site
    return await app_state.desk_pool.run(lambda: _order(site, site.cohorts.proposal(cohort_id)))


@router.post("/orders/{cohort_id}/approval", summary="Approve an order as a second officer")
async def approve_order(cohort_id: IdInPath, app_state: SharedState, caller: Caller) -> OrderAnswer:
    """Approve an order that another officer proposed. The job `erase` then carries it out.

    The credential that proposed it is refused. Operators sign the plan as well, if the site requires it.
    """
    site, officer = app_state.site, caller.caller_id
    return await app_state.desk_pool.run(lambda: _order(site, site.cohorts.approve_proposal(cohort_id, officer)))


@router.get("/recipients/unanswered", summary="Recipients that have not answered")
async def list_unanswered(app_state: SharedState) -> UnansweredList:
    """Return which recipients have not acknowledged an erasure (GDPR 19), and the next attempt to tell them."""
    found = await app_state.desk_pool.run(app_state.site.rights.unanswered)
    return UnansweredList(
        items=[
            UnansweredAnswer(
                certificate_id=one.certificate_id,
                recipient=one.recipient,
                zone=one.zone,
                told_at=one.told_at,
                message_id=one.message.message_id if one.message else None,
                attempts=one.message.attempts if one.message else 0,
                due_at=one.message.due_at if one.message and one.message.dead_at is None else None,
                last_problem=one.message.last_problem if one.message else None,
            )
            for one in found
        ]
    )


@router.post("/messages/{message_id}/retry", summary="Deliver a webhook message again now")
async def retry_message(
    message_id: Annotated[str, Path(pattern="^msg_[0-9a-f]{32}$")], app_state: SharedState
) -> Retried:
    """Deliver a message that waits or was given up: the next attempt is now."""
    await app_state.desk_pool.run(lambda: app_state.site.programs.outbox.redeliver(message_id))
    return Retried(message_id=message_id)


def _order(site: Site, proposed: ProposedOrder) -> OrderAnswer:
    plan, begun = site.cohorts.plan_of(proposed), site.cohorts.state_of(proposed.cohort_id)
    facts = asdict(proposed)
    return OrderAnswer(
        **{name: facts[name] for name in ("cohort_id", "proposed_by", "proposed_at", "approved_by", "approved_at")},
        selection=plan.selection.document(),
        counts=dict(plan.counts),
        operators_required=plan.required,
        good_until=plan.good_until,
        begun_at=None if begun is None else begun.begun_at,
        finished_at=None if begun is None else begun.finished_at,
        plan=site.cohorts.plan_file(proposed.cohort_id).decode("ascii"),
    )
