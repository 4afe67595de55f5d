"""Restriction of the processing of a person's data (GDPR 18), and its lifting: for the person, and for the desk."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from volens import Site
from volens.consent import InputError, Purpose, ReceiptId, RefusedError
from volens.consent.reason import Reason
from volens.service.http.access import GuardedRoute, limit_address
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import Id, IdInPath, JsonRoute, RequestBody, ZoneName
from volens.service.http.person_routes import CodeOrReceipt, LeaseHolder, StopPendingProblem
from volens.service.http.shown_receipt import consent_in_force
from volens.service.http.withdrawal_checks import WRONG

persons: Final = APIRouter(tags=["rights"], route_class=JsonRoute)
desk: Final = APIRouter(tags=["desk"], route_class=GuardedRoute)

_PENDING: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": StopPendingProblem, "description": "paused, and not recorded yet; or the service is busy"}
}
_PERSON: Final = "/zones/{zone}/consents/{receipt_id}/restriction"


class RestrictionAnswer(BaseModel):
    """Whether a consent is restricted now."""

    receipt_id: Id
    zone: ZoneName
    restricted_since: datetime | None = Field(
        description="nothing is matched or enrolled since then; null if the consent is not restricted",
        examples=["2026-11-27T08:00:00Z"],
    )
    stopped_everywhere_at: datetime | None = Field(
        description="when no door matches any more, with or without a connection; null if the consent is not restricted"
    )
    holders: list[LeaseHolder] = Field(description="the doors that held a lease then, as far as is known")


class Lifting(RequestBody):
    """The person wants to be recognised again."""

    identity_checked: bool = Field(description="the desk has checked who the person is", examples=[True])


@persons.post("/restrictions", summary="Restrict the processing of one's own data", responses=_PENDING)
async def restrict(request: Request, app_state: SharedState, shown: CodeOrReceipt) -> RestrictionAnswer:
    """Stop matching at once, and erase nothing (GDPR 18). No reason is needed.

    A right code or receipt is never rate-limited. If the restriction cannot be recorded, matching stops in memory, the
    restriction is retried, and the response is 503 with the problem `restriction-pending`, as for a withdrawal.
    """
    receipt_id = await _shown(request, app_state, shown)
    site = app_state.site

    def carry_out() -> RestrictionAnswer:
        site.changes.restrict(receipt_id)
        return _answer(site, receipt_id)

    return await app_state.withdrawal_pool.run(carry_out)


@persons.post("/restrictions/liftings", summary="Lift the restriction of one's own data")
async def lift_restriction(request: Request, app_state: SharedState, shown: CodeOrReceipt) -> RestrictionAnswer:
    """Let the doors match the person again, with their own code or receipt."""
    receipt_id = await _shown(request, app_state, shown)
    site = app_state.site

    def carry_out() -> RestrictionAnswer:
        site.changes.lift_restriction(receipt_id)
        return _answer(site, receipt_id)

    return await app_state.withdrawal_pool.run(carry_out)


@desk.put(_PERSON, summary="Restrict a consent", responses=_PENDING)
async def restrict_consent(zone: str, receipt_id: IdInPath, app_state: SharedState) -> RestrictionAnswer:
    """Restrict a consent for a person who asks at the desk: matching stops at once, and nothing is erased."""
    site = app_state.site

    def carry_out() -> RestrictionAnswer:
        site.changes.restrict(consent_in_force(site, zone, receipt_id).receipt_id)
        return _answer(site, ReceiptId(receipt_id))

    return await app_state.desk_pool.run(carry_out)


@desk.post(f"{_PERSON}/lifting", summary="Lift the restriction of a consent")
async def resume_consent(
    zone: str, receipt_id: IdInPath, app_state: SharedState, lifting: Lifting
) -> RestrictionAnswer:
    """Lift the restriction for a person whose identity the desk has checked."""
    site = app_state.site

    def carry_out() -> RestrictionAnswer:
        if not lifting.identity_checked:
            raise RefusedError(
                "check who the person is before their face is matched again; nothing was changed",
                reason=Reason.IDENTITY_NOT_CHECKED,
            )
        site.changes.lift_restriction(consent_in_force(site, zone, receipt_id).receipt_id)
        return _answer(site, ReceiptId(receipt_id))

    return await app_state.desk_pool.run(carry_out)


async def _shown(request: Request, app_state: AppState, shown: CodeOrReceipt) -> ReceiptId:
    """Return the consent of a code or receipt. Only wrong ones count for the rate limit of the address."""
    if (shown.code is None) == (shown.receipt is None):
        raise InputError("got both or neither of code and receipt; give one of the two")
    rights = app_state.site.rights
    try:
        return await app_state.withdrawal_checks.run(
            lambda: rights.consent_shown(receipt=shown.receipt_bytes(), code=shown.code)
        )
    except WRONG:
        limit_address(request, app_state)
        raise


def _answer(site: Site, receipt_id: ReceiptId) -> RestrictionAnswer:
    zone: Purpose = site.changes.in_force([receipt_id]).purpose
    since = site.changes.restricted_since(receipt_id)
    stop = None if since is None else site.zones.stop_at(zone, since, wait=True)
    return RestrictionAnswer(
        receipt_id=receipt_id,
        zone=zone,
        restricted_since=since,
        stopped_everywhere_at=None if stop is None else stop.stopped_everywhere_at,
        holders=[] if stop is None else [LeaseHolder(**asdict(one)) for one in stop.holders],
    )
