"""Pages of the privacy officer: erasures step by step, recipients that have not answered, and papers to renew."""

from datetime import datetime
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from volens.consent import Purpose
from volens.erase import ErasureState
from volens.erase.proof import verify_certificate
from volens.rights import PaperProblem
from volens.service.certificate_page import certificate_page
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import IdInPath
from volens.service.web.officer_state import SWEPT, SiteProblem, site_problems
from volens.service.web.page_language import language_of
from volens.service.web.page_response import PRINTED_PAGE_POLICY, render, zone_name
from volens.service.web.staff_session import OfficerPageRoute, Staff
from volens.store.programs import SILENT

_ERASURES: Final = "/officer/erasures"
router: Final = APIRouter(route_class=OfficerPageRoute)


@router.get(_ERASURES, name="officer_erasures")
async def erasures(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """List the erasures that run, and those of the last 30 days."""

    def show() -> Response:
        found = app_state.site.rights.erasures()
        return _page(request, app_state, "erasures", staff=staff, section=_ERASURES, erasures=found)

    return await app_state.page_pool.run(show)


@router.get(_ERASURES + "/{receipt_id}", name="officer_erasure")
async def one_erasure(request: Request, app_state: SharedState, staff: Staff, receipt_id: IdInPath) -> Response:
    """Show one erasure: which steps are done, which one runs, and what cannot be before a time."""

    def show() -> Response:
        site = app_state.site
        found = site.rights.erasure(receipt_id)
        certificate = found.progress.certificate
        waiting = {
            one.recipient: one.message
            for one in site.rights.unanswered()
            if certificate is not None and one.certificate_id == certificate.certificate_id
        }
        return _page(
            request,
            app_state,
            "erasure",
            staff=staff,
            section=_ERASURES,
            steps=found,
            progress=found.progress,
            states=list(ErasureState),
            behind_until=_behind_until(app_state),
            messages=waiting,
        )

    return await app_state.page_pool.run(show)


@router.get("/officer/certificates/{certificate_id}", name="officer_certificate")
async def certificate_sheet(
    request: Request, app_state: SharedState, staff: Staff, certificate_id: IdInPath
) -> Response:
    """Show a certificate as one sheet, to print."""
    del staff

    def show() -> Response:
        site = app_state.site
        checked = verify_certificate(site.erasures.certificate(certificate_id), site.verifier_key)
        page = certificate_page(checked, site.verifier_key, language_of(request), site.defaults.time_zone())
        return HTMLResponse(page, headers={"Content-Security-Policy": PRINTED_PAGE_POLICY, "X-Frame-Options": "DENY"})

    return await app_state.page_pool.run(show)


@router.get("/officer/recipients", name="officer_recipients")
async def recipients(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """List the recipients that have not acknowledged an erasure."""

    def show() -> Response:
        found = app_state.site.rights.unanswered()
        section = "/officer/recipients"
        return _page(request, app_state, "recipients", staff=staff, section=section, unanswered=found)

    return await app_state.page_pool.run(show)


@router.get("/officer/papers", name="officer_papers")
async def papers(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """List the papers that no longer fit the configuration, and the checks that find a problem."""

    def show() -> Response:
        site = app_state.site
        return _page(
            request,
            app_state,
            "papers",
            staff=staff,
            section="/officer/papers",
            papers=site.rights.stale_papers(),
            stale=site.papers.stale(),
            kinds=PaperProblem,
            problems=site_problems(site),
            site_kinds=SiteProblem,
            swept=SWEPT,
            zone_name=zone_name,
        )

    return await app_state.page_pool.run(show)


def _page(request: Request, app_state: AppState, name: str, **values: Any) -> Response:  # noqa: ANN401  for the template
    names = {one.purpose: zone_name(one) for one in app_state.site.zones.all(removed=True)}
    return render(request, f"officer/{name}.html", called=partial(_called, names), **values)


def _called(names: dict[Purpose, str], purpose: Purpose) -> str:
    return names.get(purpose, purpose)


def _behind_until(app_state: AppState) -> datetime | None:
    """Return before which time a process that is behind the log cannot count as stopped; None if none is behind."""
    behind = [one.seen_at + SILENT for one in app_state.site.programs.processes.running() if one.lag]
    return max(behind, default=None)
