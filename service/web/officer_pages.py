"""Pages of the privacy officer: overview, and data subject requests with their deadlines."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, final

from fastapi import APIRouter, Request, Response

from volens.rights import PersonsRequest
from volens.rights.request_rows import ExtensionReason, Outcome, RequestKind
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import IdInPath
from volens.service.web.officer_state import OfficerState, officer_state
from volens.service.web.page_response import render
from volens.service.web.staff_session import OfficerPageRoute, Staff

_WEEK: Final = timedelta(days=7)
router: Final = APIRouter(route_class=OfficerPageRoute)


@final
@dataclass(frozen=True, slots=True)
class RequestClock:
    """A request and the time that is left for it.

    Attributes:
        days: whole days until the deadline, a day that has begun counts; negative once it is past.
    """

    request: PersonsRequest
    days: int
    is_overdue: bool

    @classmethod
    def at(cls, request: PersonsRequest, now: datetime) -> "RequestClock":
        """Return the clock of a request."""
        overdue = request.overdue(now)
        left = request.due_at - now
        return cls(request, left // timedelta(days=1) if overdue else -(-left // timedelta(days=1)), overdue)

    @property
    def is_due_soon(self) -> bool:
        """Whether it is open, and its deadline is within a week."""
        return self.request.closed_at is None and not self.is_overdue and self.days <= _WEEK.days


@router.get("/officer", name="officer_overview")
async def overview(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Show what waits for the officer: each matter in one sentence, with the page that settles it."""

    def show() -> Response:
        site = app_state.site
        clocks = [RequestClock.at(one, site.now()) for one in site.rights.requests()]
        state: OfficerState = officer_state(site)
        return render(
            request,
            "officer/overview.html",
            staff=staff,
            section="/officer",
            clocks=clocks,
            overdue=[one for one in clocks if one.is_overdue],
            this_week=[one for one in clocks if one.is_due_soon],
            state=state,
        )

    return await app_state.page_pool.run(show)


@router.get("/officer/requests", name="officer_requests")
async def requests(request: Request, app_state: SharedState, staff: Staff, closed: bool = False) -> Response:  # noqa: FBT001, FBT002  a query parameter
    """List the open requests by deadline, or the closed ones, the newest first."""

    def show() -> Response:
        site = app_state.site
        found = site.rights.requests(closed=closed)
        if closed:
            found = sorted((one for one in found if one.closed_at), key=lambda one: str(one.closed_at), reverse=True)
        clocks = [RequestClock.at(one, site.now()) for one in found]
        return render(
            request, "officer/requests.html", staff=staff, section="/officer/requests", clocks=clocks, closed=closed
        )

    return await app_state.page_pool.run(show)


@router.get("/officer/requests/new", name="officer_new_request")
async def new_request(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Show the form that opens a request."""
    page = partial(render, request, "officer/request_new.html")
    shown = partial(page, staff=staff, section="/officer/requests", kinds=list(RequestKind))
    return await app_state.page_pool.run(shown)


@router.get("/officer/requests/{request_id}", name="officer_request")
async def one_request(request: Request, app_state: SharedState, staff: Staff, request_id: IdInPath) -> Response:
    """Show one request, and the steps that its kind and its state allow."""

    def show() -> Response:
        site = app_state.site
        found, now = site.rights.request(request_id), site.now()
        outcomes = [Outcome.REFUSED, Outcome.TAKEN_BACK]
        if not found.kind.needs_file:
            outcomes.insert(0, Outcome.CARRIED_OUT)
        return render(
            request,
            "officer/request.html",
            staff=staff,
            section="/officer/requests",
            one=found,
            time_left=RequestClock.at(found, now),
            may_extend=found.closed_at is None and found.extended_for is None and now <= found.due_at,
            reasons=list(ExtensionReason),
            outcomes=outcomes,
            is_erasure=found.kind in {RequestKind.ERASURE, RequestKind.OBJECTION},
            may_answer_again=found.outcome in {Outcome.ANSWERED, Outcome.NOTHING_HELD} and found.kind.needs_file,
        )

    return await app_state.page_pool.run(show)
