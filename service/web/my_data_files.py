"""Files that people save from the pages about their own data: take-home file, sheet, certificate."""

from functools import partial
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from volens.consent import NoLiveConsentError, TakeHome
from volens.erase.proof import Certificate
from volens.service.certificate_page import certificate_page
from volens.service.consent_sheet import sheet_page
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import IdInPath
from volens.service.web.my_data_session import Mine, OwnPageRoute, OwnSession
from volens.service.web.page_language import language_of
from volens.service.web.page_response import PRINTED_PAGE_POLICY

router: Final = APIRouter(route_class=OwnPageRoute)
_ONE: Final = "/me/files/{receipt_id}"


@router.get(f"{_ONE}/receipt.json", name="save_my_receipt")
async def save_receipt(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Return the take-home file again; only with the code, which the site does not keep."""
    take_home = await app_state.page_pool.run(partial(_take_home, app_state, mine, receipt_id))
    return mine.keep(request, _file(take_home.to_json(), "receipt.json"))


@router.get(f"{_ONE}/sheet", name="print_my_receipt")
async def print_receipt(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Return the sheet of the consent, to print."""

    def make() -> Response:
        zone = app_state.site.defaults.time_zone()
        return _sheet(sheet_page(_take_home(app_state, mine, receipt_id), language_of(request), zone))

    return mine.keep(request, await app_state.page_pool.run(make))


@router.get(f"{_ONE}/certificate.json", name="save_my_certificate")
async def save_certificate(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Return the certificate of an erasure as a file, which anyone can verify with the site's public key."""

    def read() -> bytes:
        checked = _certificate(app_state, mine, receipt_id)
        return app_state.site.erasures.certificate(checked.certificate_id)

    return mine.keep(request, _file(await app_state.page_pool.run(read), "certificate.json"))


@router.get(f"{_ONE}/certificate", name="print_my_certificate")
async def print_certificate(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Return the certificate of an erasure as one sheet, to print."""

    def make() -> Response:
        site = app_state.site
        checked, zone = _certificate(app_state, mine, receipt_id), site.defaults.time_zone()
        return _sheet(certificate_page(checked, site.verifier_key, language_of(request), zone))

    return mine.keep(request, await app_state.page_pool.run(make))


def _take_home(app_state: AppState, mine: OwnSession, receipt_id: str) -> TakeHome:
    if mine.code is None or mine.shown != receipt_id:
        raise NoLiveConsentError("the code of this consent was not entered here")
    return app_state.site.rights.own.take_home(mine.shown, mine.code)


def _certificate(app_state: AppState, mine: OwnSession, receipt_id: str) -> Certificate:
    own = app_state.site.rights.own
    certificate = own.progress(own.check(mine.shown, receipt_id)).certificate
    if certificate is None:
        raise NoLiveConsentError("there is no certificate of this consent yet")
    return certificate


def _sheet(page: str) -> Response:
    return HTMLResponse(page, headers={"Content-Security-Policy": PRINTED_PAGE_POLICY, "X-Frame-Options": "DENY"})


def _file(data: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type="application/json", headers=headers)
