"""Pages of the privacy officer about erasure orders: choose a cohort, see the dry run, propose, approve, carry out."""

from datetime import UTC, date, datetime, time
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from volens.consent import InputError, UnknownError, format_time
from volens.consent.reason import Reason
from volens.erase.order import Selection
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import IdInPath
from volens.service.web.page_response import render, zone_name
from volens.service.web.staff_session import OfficerPageRoute, Staff
from volens.store.programs import JobKind
from volens.store.programs.jobs import Job

_SECTION: Final = "/officer/orders"
_JOBS: Final = 50
_Text = Annotated[str, Query(max_length=200)]
router: Final = APIRouter(route_class=OfficerPageRoute)


@router.get(_SECTION, name="officer_orders")
async def orders(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """List the proposed orders, the newest first."""

    def show() -> Response:
        cohorts = app_state.site.cohorts
        found = [(one, cohorts.plan_of(one), cohorts.state_of(one.cohort_id)) for one in cohorts.proposals()]
        return render(
            request, "officer/orders.html", staff=staff, section=_SECTION, orders=found, now=app_state.site.now()
        )

    return await app_state.page_pool.run(show)


@router.get(f"{_SECTION}/new", name="officer_new_order")
async def new_order(
    request: Request,
    app_state: SharedState,
    staff: Staff,
    zone: _Text = "",
    jurisdiction: _Text = "",
    notice_version: _Text = "",
    model: _Text = "",
    before: _Text = "",
) -> Response:
    """Show the criteria of a cohort, and with some of them the dry run: nothing is signed, logged or erased."""
    entered = {"zone": zone, "jurisdiction": jurisdiction, "notice_version": notice_version, "model": model}

    def show() -> Response:
        site, counts, problem, body = app_state.site, None, None, {}
        if any(entered.values()) or before:
            try:
                selection = _selection(entered, before)
                counts, body = site.cohorts.count(selection), _body(selection)
            except (InputError, UnknownError) as error:
                problem = error
        return render(
            request,
            "officer/order_new.html",
            staff=staff,
            section=_SECTION,
            entered=entered,
            before=before,
            zones=[(one.purpose, zone_name(one)) for one in site.zones.all()],
            counts=counts,
            problem=problem,
            body=body,
        )

    return await app_state.page_pool.run(show)


@router.get(_SECTION + "/{cohort_id}", name="officer_order")
async def one_order(request: Request, app_state: SharedState, staff: Staff, cohort_id: IdInPath) -> Response:
    """Show one order with its dry run, and the step that comes next."""

    def show() -> Response:
        site = app_state.site
        proposed = site.cohorts.proposal(cohort_id)
        plan, begun = site.cohorts.plan_of(proposed), site.cohorts.state_of(cohort_id)
        labels = {one.credential_id: one.label for one in site.programs.credentials.list(all_of_them=True)}
        return render(
            request,
            "officer/order.html",
            staff=staff,
            section=_SECTION,
            order=proposed,
            plan=plan,
            begun=begun,
            label=partial(_label, labels),
            is_own=proposed.proposed_by == staff.caller.caller_id,
            is_expired=begun is None and site.now() > plan.good_until,
            operators=site.cohorts.operators_required(),
            has_folder=app_state.orders_folder is not None,
            job=_job_of(app_state, cohort_id),
        )

    return await app_state.page_pool.run(show)


@router.get(_SECTION + "/{cohort_id}/plan.json", name="officer_order_plan")
async def plan_file(app_state: SharedState, staff: Staff, cohort_id: IdInPath) -> Response:
    """Return the plan's file, which operators sign on their own machine."""
    del staff
    data = await app_state.page_pool.run(lambda: app_state.site.cohorts.plan_file(cohort_id))
    headers = {"Content-Disposition": f'attachment; filename="cohort-{cohort_id[:8]}.plan.json"'}
    return Response(data, media_type="application/json", headers=headers)


def _selection(entered: dict[str, str], before: str) -> Selection:
    """Return what the form says; empty fields are no criterion.

    Raises:
        InputError: a field is not valid.
    """
    version = entered["notice_version"]
    if version and not (version.isascii() and version.isdigit()):
        raise InputError("got a notice version that is no number; expected 1 or more", reason=Reason.VERSION_NUMBER)
    try:
        moment = datetime.combine(date.fromisoformat(before), time(), UTC) if before else None
    except ValueError:
        raise InputError("got a date of another form; expected year, month and day", reason=Reason.DATE_FORM) from None
    return Selection.declare(
        zone=entered["zone"] or None,
        jurisdiction=entered["jurisdiction"] or None,
        notice_version=int(version) if version else None,
        model=entered["model"] or None,
        before=moment,
    )


def _body(selection: Selection) -> dict[str, Any]:
    """Return the body of ``POST /v1/orders`` for a selection."""
    return selection.document() | ({} if selection.before is None else {"before": format_time(selection.before)})


def _label(labels: dict[str, str], credential_id: str) -> str:
    return labels.get(credential_id, credential_id)


def _job_of(app_state: AppState, cohort_id: str) -> Job | None:
    """Return the newest job that carried out an order; None without one."""
    jobs = app_state.site.programs.jobs.list(_JOBS)
    done = (one for one in jobs if one.kind is JobKind.ERASE and one.outcome is not None)
    return next((one for one in done if one.outcome and one.outcome.get("cohort_id") == cohort_id), None)
