"""Operations for the person, without a login: withdraw a consent, request access, learn what the doors decided."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from volens.consent import EndReason, InputError, ReceiptId
from volens.erase.proof import Erased
from volens.rights import withdraw_consent
from volens.service.http.access import limit_address, limit_consent
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import EXACTLY_ONE, Id, JsonRoute, RequestBody, Time, ZoneName
from volens.service.http.idempotency import Idempotent, StorableResponse
from volens.service.http.thread_pool import BusyError
from volens.service.http.withdrawal_checks import WRONG

router: Final = APIRouter(tags=["rights"], route_class=JsonRoute)


class CodeOrReceipt(RequestBody):
    """The consent that is meant: one of the two."""

    model_config = ConfigDict(json_schema_extra=EXACTLY_ONE)
    code: str | None = Field(
        None,
        description="the withdrawal code, or the text of its QR code",
        max_length=300,
        examples=["XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-X"],
    )
    receipt: str | None = Field(None, description="the receipt, expired or not, or the whole take-home file")

    def receipt_bytes(self) -> bytes | None:
        """Return the receipt as a file has it."""
        return None if self.receipt is None else self.receipt.encode("utf-8", "replace")


class NewWithdrawal(CodeOrReceipt):
    """The consent to end: one of code and receipt."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["code"]}, {"required": ["receipt"]}]})
    all_of_this_person: StrictBool = Field(
        False, description="end every consent in force that the same person's key has signed, in every zone"
    )


class EndedConsent(BaseModel):
    """A consent that has ended, and the certificate that its data is erased."""

    zone: ZoneName
    certificate_id: Id
    certificate: str = Field(
        description="a file to keep; anyone can verify it with the site's public key alone",
        examples=['{"certificate": "eyJ..."}'],
    )


class StopPendingProblem(BaseModel):
    """Types `stop-pending` and `restriction-pending`: the consent no longer matches, but a kill would undo that."""

    type: str = Field(examples=["urn:volens:problem:stop-pending"])
    title: str = Field(examples=["stop pending"])
    status: int = Field(examples=[503])
    detail: str = Field(
        description="what is promised and what is not, in one sentence for the person",
        examples=["matching has stopped in this process; the withdrawal is not on the disk yet"],
    )
    instance: str = Field(examples=["urn:volens:request:4f1c0a9be2d37856"])
    committed: bool = Field(False, description="always false; absent in other problems", examples=[False])
    stopped_here: bool = Field(False, description="always true for this type", examples=[True])
    stopped_elsewhere: int = Field(0, description="other processes that no longer match the consent", examples=[1])
    unconfirmed: list[str] = Field(
        default_factory=list,
        description="processes that serve the site, as far as is known, and did not answer",
        examples=[[]],
    )


class ConsentInForce(BaseModel):
    """A consent of the same person that is in force; if a face is enrolled under it, doors of its zone know it."""

    zone: ZoneName
    given_at: datetime | None = Field(description="null if the stored receipt is damaged")
    ends_at: Time


class LeaseHolder(BaseModel):
    """A door that could decide without a connection."""

    door: str = Field(description="its label", examples=["lobby, left door"])
    door_id: str = Field(description="of its credential", examples=["86c42cc34fe8d921"])
    ends_at: Time = Field(description="when its lease has ended, if it says nothing")
    acknowledged_at: datetime | None = Field(description="when it gave its lease up; null if it has not said so")


class Withdrawn(EndedConsent):
    """The consent has ended and its data is erased; a repeated withdrawal gets the same response."""

    reason: str = Field(description="why it ended; another word if it had ended before", examples=["withdrawn"])
    ended_at: Time = Field(description="stopped at the primary: doors that ask match no more")
    stopped_everywhere_at: Time = Field(
        description="when no door matches any more, connected or not; as `ended_at` unless doors held leases"
    )
    holders: list[LeaseHolder] = Field(description="the doors that held a lease when it ended, as far as is known")
    newer_in_force: bool = Field(
        description="the receipt or code is an old one, and a newer consent of the same person for this zone is in "
        "force; send the request again with all_of_this_person to end it too",
        examples=[False],
    )
    in_force: list[ConsentInForce] = Field(description="what the same person's key has signed and is in force")
    also_ended: list[EndedConsent] = Field(description="with all_of_this_person: the other consents that ended")


class OpenedRequest(BaseModel):
    """An access request was opened: the desk has the answer for the person by `due_at`."""

    request_id: Id = Field(description="the person names it at the desk")
    due_at: Time


class VisitAnswer(BaseModel):
    """A visit of the person: a door recognised them."""

    minute: Time
    kind: str = Field(description="identify (1:N) or verify (1:1)", examples=["identify"])
    door: str | None = Field(description="null for a program on the site's own machine", examples=["lobby door"])


class ExplanationAnswer(BaseModel):
    """What the doors decided lately about the person who asks, and what would keep them closed now."""

    zone: ZoneName
    ended: str | None = Field(description="why the consent ended; null while it is in force")
    closed_because: list[str] = Field(
        description="what would keep a door closed for this person now; empty if nothing would",
        examples=[["you are not enrolled yet: there are no photos of you to compare with"]],
    )
    since: Time
    visits: list[VisitAnswer]
    match_history_days: int = Field(description="how long the zone keeps visits; 0 keeps none", examples=[90])
    not_kept: list[str] = Field(
        description="what no one can tell, and why",
        examples=[["no comparison score of a door is kept, of you or of anyone else"]],
    )


@router.post(
    "/withdrawals",
    summary="Withdraw a consent",
    responses={503: {"model": StopPendingProblem, "description": "not recorded yet, or the service is busy"}},
)
async def withdraw(request: Request, app_state: SharedState, shown: NewWithdrawal) -> Withdrawn:
    """End a consent, erase its data, and return the certificate. No reason is needed.

    A right code or receipt is never rate-limited. As soon as it was checked, the person no longer matches here. If the
    withdrawal cannot be recorded, such as on a full disk, the response is 503 `stop-pending`, and it is retried. If the
    receipt is an old one, the response says what of the same person is in force; `all_of_this_person` ends it.
    """
    if (shown.code is None) == (shown.receipt is None):
        raise InputError("got both or neither of code and receipt; give one of the two")
    stops = app_state.site.stops

    def check() -> ReceiptId:
        receipt_id = app_state.site.rights.consent_shown(receipt=shown.receipt_bytes(), code=shown.code)
        stops.take([(receipt_id, EndReason.WITHDRAWN)])
        return receipt_id

    try:
        receipt_id = await app_state.withdrawal_checks.run(check)
    except WRONG:
        limit_address(request, app_state)
        raise

    def end_consent() -> Withdrawn:
        installation, all_of_them = app_state.site.installation, shown.all_of_this_person
        done = withdraw_consent(installation, stops, receipt_id, all_of_this_person=all_of_them)
        return Withdrawn(
            **_ended(done.erased).model_dump(),
            reason=done.erased.reason,
            ended_at=done.ended_at,
            stopped_everywhere_at=done.stopped_everywhere_at,
            holders=[LeaseHolder(**asdict(one)) for one in done.holders],
            newer_in_force=done.newer is not None,
            in_force=[
                ConsentInForce(zone=one.zone, given_at=one.given_at, ends_at=one.ends_at) for one in done.in_force
            ],
            also_ended=[_ended(one) for one in done.also_ended],
        )

    try:
        return await app_state.withdrawal_pool.run(end_consent)
    except BusyError:
        raise await app_state.withdrawal_checks.run(lambda: stops.pending_error(receipt_id)) from None


def _ended(one: Erased) -> EndedConsent:
    certificate = one.certificate_path.read_text("utf-8")
    return EndedConsent(zone=one.zone, certificate_id=one.certificate_id, certificate=certificate)


@router.post(
    "/access-requests", status_code=201, response_model=OpenedRequest, summary="Request access to one's own data"
)
async def ask_for_access(
    request: Request, app_state: SharedState, shown: CodeOrReceipt, idempotent: Idempotent
) -> Response:
    """Open a person's access request. The answer is handed over to the person at the desk."""
    await _check_shown(request, app_state, shown)

    def open_request() -> StorableResponse:
        opened = app_state.site.rights.open_access(receipt=shown.receipt_bytes(), code=shown.code)
        return StorableResponse(OpenedRequest(request_id=opened.request_id, due_at=opened.due_at))

    return await idempotent.run(app_state.desk_pool, open_request, shown)


async def _check_shown(request: Request, app_state: AppState, shown: CodeOrReceipt) -> None:
    """Check what a person shows: a wrong code or receipt counts against the address, a right one against itself.

    Raises:
        RateError: too many wrong ones from this address, or too many requests with this one.
        VolensError: it is wrong; see `WRONG`.
    """
    rights = app_state.site.rights
    try:
        receipt_id = await app_state.withdrawal_checks.run(
            lambda: rights.consent_shown(receipt=shown.receipt_bytes(), code=shown.code)
        )
    except WRONG:
        limit_address(request, app_state)
        raise
    limit_consent(receipt_id, app_state)


@router.post("/decisions/explanations", summary="Learn what the doors decided about oneself lately")
async def explain_decisions(request: Request, app_state: SharedState, shown: CodeOrReceipt) -> ExplanationAnswer:
    """Return the person's own visits of the last seven days, and what would keep a door closed for them now."""
    await _check_shown(request, app_state, shown)

    def explain() -> ExplanationAnswer:
        told = app_state.site.rights.explain(receipt=shown.receipt_bytes(), code=shown.code)
        return ExplanationAnswer(
            **asdict(told) | {"ended": None if told.ended is None else told.ended[0].value},
        )

    return await app_state.desk_pool.run(explain)
