"""What people do with their own data: hand over a code, withdraw, pause, correct the name, ask for everything.

Requests are JSON from scripts of our own pages (`same_origin`). None of them is rate-limited but wrong codes. A
repeated request does no harm.
"""

import asyncio
import contextlib
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, StrictBool

from volens.consent import EndReason, ErasureIncompleteError, ReceiptId, WithdrawalCode
from volens.erase import StopPendingError
from volens.rights import withdraw_consent
from volens.service.http.access import limit_address
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import (
    IdInPath,
    JsonRoute,
    RequestBody,
    zip_response,
)
from volens.service.http.person_routes import CodeOrReceipt
from volens.service.http.same_origin import same_origin
from volens.service.http.thread_pool import BusyError
from volens.service.http.web_session import end_session
from volens.service.http.withdrawal_checks import WRONG
from volens.service.web.my_data_session import ENTRY, KIND, Mine, OwnActionRoute, OwnSession

router: Final = APIRouter(route_class=OwnActionRoute)
_entrance: Final = APIRouter(route_class=JsonRoute, dependencies=[Depends(same_origin)])
_ONE: Final = "/me/consents/{receipt_id}"
ANSWER_WITHIN_S: Final = 1.5
"""A withdrawal takes about a second. One that takes longer goes on, and the page shows how far it is."""


class NameForm(RequestBody):
    """The right name."""

    name: Annotated[str, Field(max_length=1000)]


class EndForm(RequestBody):
    """A withdrawal; no reason is asked."""

    all_of_this_person: StrictBool = False


@_entrance.post(f"{ENTRY}/session", name="open_my_data")
async def open_my_data(request: Request, app_state: SharedState, shown: CodeOrReceipt) -> Response:
    """Exchange a code or a receipt for a session. A right one is never rate-limited; a wrong one counts."""
    check = partial(app_state.site.rights.consent_shown, receipt=shown.receipt_bytes(), code=shown.code)
    try:
        receipt_id = await app_state.withdrawal_checks.run(check)
    except WRONG:
        limit_address(request, app_state)
        raise
    code = None if shown.code is None else WithdrawalCode.parse(shown.code)
    return OwnSession(receipt_id, code).answer(request, {"next": "/me/data"})


@_entrance.post(f"{ENTRY}/session/end", name="close_my_data")
async def close_my_data(request: Request) -> Response:
    """Let the browser forget the session, on a device that others use too."""
    response = JSONResponse({"next": ENTRY})
    end_session(request, response, KIND)
    return response


@router.post(f"{_ONE}/withdrawal", name="withdraw_my_consent")
async def withdraw_own(
    request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath, form: EndForm
) -> Response:
    """End a consent of this person, and erase its data.

    The person no longer matches here before the answer is sent; the page that follows says what is recorded. An erasure
    that takes long goes on after the answer.
    """
    site = app_state.site

    def check() -> ReceiptId:
        one = site.rights.own.check(mine.shown, receipt_id)
        site.stops.take([(one, EndReason.WITHDRAWN)])
        return one

    one = await app_state.withdrawal_checks.run(check)
    end = partial(withdraw_consent, site.installation, site.stops, one, all_of_this_person=form.all_of_this_person)
    task = asyncio.ensure_future(_ended(app_state, one, end))
    app_state.keep_until_done(task)
    task.add_done_callback(lambda one: one.cancelled() or one.exception())  # the page that follows tells how it is
    await asyncio.wait({task}, timeout=ANSWER_WITHIN_S)
    is_done = task.done() and task.result()
    return mine.answer(request, {"next": f"/me/consents/{receipt_id}/withdrawn"}, 200 if is_done else 202)


async def _ended(app_state: AppState, receipt_id: ReceiptId, end: partial[Any]) -> bool:
    """Carry a withdrawal out; return whether it is finished. If not, it is retried, and the page says so."""
    try:
        await app_state.withdrawal_pool.run(end)
    except BusyError:
        with contextlib.suppress(BusyError):
            await app_state.withdrawal_checks.run(lambda: app_state.site.stops.pending_error(receipt_id))
        return False
    except (StopPendingError, ErasureIncompleteError):
        return False
    return True


@router.post(f"{_ONE}/pause", name="pause_my_consent")
async def pause_own(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Restrict a consent (GDPR 18): the person does not match until they resume it, and nothing is erased."""
    site = app_state.site
    await app_state.withdrawal_pool.run(lambda: site.changes.restrict(site.rights.own.check(mine.shown, receipt_id)))
    return mine.answer(request, {"next": f"/me/consents/{receipt_id}"})


@router.post(f"{_ONE}/resume", name="resume_my_consent")
async def resume_own(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Lift the restriction of a consent."""
    changes, own = app_state.site.changes, app_state.site.rights.own
    await app_state.withdrawal_pool.run(lambda: changes.lift_restriction(own.check(mine.shown, receipt_id)))
    return mine.answer(request, {"next": f"/me/consents/{receipt_id}"})


@router.post(f"{_ONE}/name", name="correct_my_name")
async def correct_own_name(
    request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath, form: NameForm
) -> Response:
    """Correct the name under a consent in force (GDPR 16)."""
    site = app_state.site

    def correct() -> None:
        site.changes.correct_name(site.rights.own.check(mine.shown, receipt_id), form.name)

    await app_state.desk_pool.run(correct)
    return mine.answer(request, {"next": f"/me/consents/{receipt_id}/name?done=1"})


@router.post(f"{_ONE}/answer", name="download_my_data")
async def answer_own(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Return what is held under a consent, in force or ended, as a signed zip file (GDPR 15, 20)."""
    site = app_state.site

    def answer() -> bytes:
        return site.rights.own.answer(site.rights.own.check(mine.shown, receipt_id)).data

    data = await app_state.answer_pool.run(answer, caller=receipt_id)
    return mine.keep(request, zip_response("my-data", data))


@router.post(f"{_ONE}/access-request", name="ask_for_all_my_data")
async def ask_for_all(request: Request, app_state: SharedState, mine: Mine, receipt_id: IdInPath) -> Response:
    """Open a request for the whole answer, which the desk hands over after an identity check."""
    site = app_state.site

    def ask() -> None:
        site.rights.own.ask_for_all(site.rights.own.check(mine.shown, receipt_id))

    await app_state.desk_pool.run(ask)
    return mine.answer(request, {"next": f"/me/consents/{receipt_id}/download"})


router.include_router(_entrance)
