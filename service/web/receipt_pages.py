"""The last page of an invitation: what the person takes home."""

from functools import partial
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from volens.service.consent_sheet import sheet_page
from volens.service.http.app_state import AppState, SharedState
from volens.service.qr_codes import qr_svg
from volens.service.web.invitation_pages import STEPS
from volens.service.web.invitation_session import Signed, SignedPageRoute, SignedSession
from volens.service.web.page_language import language_of
from volens.service.web.page_response import PRINTED_PAGE_POLICY, render, zone_name
from volens.store.people.people_list import ConsentState, listed_consents
from volens.store.promises import zone_of

router: Final = APIRouter(route_class=SignedPageRoute)


@router.get("/invitation/receipt", name="receipt_page")
async def receipt_page(request: Request, app_state: SharedState, signed: Signed) -> Response:
    """Show the receipt, its code and what happens next."""
    return await app_state.page_pool.run(partial(_page, request, app_state, signed))


@router.get("/invitation/receipt/file", name="receipt_file")
async def receipt_file(app_state: SharedState, signed: Signed) -> Response:
    """Return the take-home file."""
    data = await app_state.page_pool.run(lambda: signed.take_home(app_state).to_json())
    headers = {"Content-Disposition": 'attachment; filename="volens-receipt.json"'}
    return Response(data, media_type="application/json", headers=headers)


@router.get("/invitation/receipt/sheet", name="receipt_sheet")
async def receipt_sheet(request: Request, app_state: SharedState, signed: Signed) -> Response:
    """Return the sheet to print."""

    def sheet() -> Response:
        time_zone = app_state.site.defaults.time_zone()
        page = sheet_page(signed.take_home(app_state), language_of(request), time_zone)
        return HTMLResponse(page, headers={"Content-Security-Policy": PRINTED_PAGE_POLICY})

    return await app_state.page_pool.run(sheet)


def _page(request: Request, app_state: AppState, signed: SignedSession) -> Response:
    taken = signed.take_home(app_state)
    claims, code = taken.receipt.claims, taken.code
    assert code is not None  # noqa: S101  the session has it
    with app_state.site.installation.store.read() as connection:
        zone = zone_of(connection, claims.purpose)
        (consent,) = listed_consents(connection, [claims.receipt_id], app_state.site.now())
    qr = Markup(qr_svg(taken.qr_text()))  # noqa: S704  drawn here
    return render(
        request,
        "person/receipt.html",
        zone_name=zone_name(zone),
        claims=claims,
        enrolled=consent.state is ConsentState.ENROLLED,
        code=code.reveal(),
        qr=qr,
        steps=STEPS,
    )
