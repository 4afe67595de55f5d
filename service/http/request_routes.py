"""What people ask about their data, and the month in which they must have an answer (GDPR 12(3))."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from volens import Site
from volens.consent import InputError, TakeHome, format_time
from volens.rights import PersonsRequest
from volens.service.http.access import Caller, GuardedRoute, slow_down
from volens.service.http.app_state import RoomsOf
from volens.service.http.bodies import EXACTLY_ONE, MAX_JSON_BYTES, ZIPPED, zip_named
from volens.service.http.idempotency import IdempotencyKey, IdempotentRequest, StoredOutcome, idempotent
from volens.service.http.pagination import Cursor, Limit, Page, cursor, position

asking: Final = APIRouter(tags=["rights"])
"""For the people themselves, who have no credential."""
router: Final = APIRouter(tags=["rights"], route_class=GuardedRoute)

Number = Annotated[str, Path(description="of the request", pattern="^[0-9a-f]{32}$")]


class RequestAnswer(BaseModel):
    """A request as it stands. It names nobody."""

    request_id: str
    kind: str = Field(description="access, portability, erasure, rectification or objection", examples=["access"])
    known: bool = Field(description="whether anybody was found by what was shown")
    received_at: datetime
    due_at: datetime = Field(description="the last moment to answer")
    extended_for: str | None = Field(description="complex or many; once, within the first month")
    closed_at: datetime | None
    outcome: str | None
    overdue: bool

    @classmethod
    def of(cls, request: PersonsRequest, now: datetime) -> "RequestAnswer":
        """Say how a request stands."""
        return cls(
            request_id=request.request_id,
            kind=request.kind.value,
            known=request.receipt_id is not None,
            received_at=request.received_at,
            due_at=request.due_at,
            extended_for=None if request.extended_for is None else request.extended_for.value,
            closed_at=request.closed_at,
            outcome=None if request.outcome is None else request.outcome.value,
            overdue=request.overdue(now),
        )


class Shown(BaseModel):
    """Whose data it is about: one of the two."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=EXACTLY_ONE)
    code: str | None = Field(None, description="the withdrawal code, or the text of its QR", max_length=200)
    receipt: str | None = Field(None, description="the receipt, expired or not, or the whole take-home file")


class Taken(BaseModel):
    """A request was taken: the desk has the answer for the person by then."""

    request_id: str = Field(description="to be named at the desk")
    due_at: datetime


class NewRequest(BaseModel):
    """A request that was made at the desk, by letter, by telephone."""

    model_config = ConfigDict(extra="forbid")
    kind: str = Field(description="access, portability, erasure, rectification or objection", examples=["erasure"])
    receipt: str | None = Field(None, description="what the person showed")
    subject_id: str | None = Field(None, description="or who they are known to be", max_length=200)
    unknown: StrictBool = Field(False, description="or that nobody is found: then a number is kept, and nothing else")


class Extension(BaseModel):
    """Why a request takes two months more."""

    model_config = ConfigDict(extra="forbid")
    because: str = Field(description="complex, or many", examples=["complex"])


class Closing(BaseModel):
    """How a request ended that asked for no file."""

    model_config = ConfigDict(extra="forbid")
    outcome: str = Field(description="'carried out', 'refused' or 'taken back'", examples=["refused"])


class CarriedOut(BaseModel):
    """Nobody is matched by these consents any more, and nothing of them is left."""

    certificate_ids: list[str]


@asking.post(
    "/access-requests",
    status_code=201,
    response_model=Taken,
    summary="Ask what is held about oneself",
    max_body_size=MAX_JSON_BYTES,
)
async def ask_for_access(request: Request, app_state: RoomsOf, shown: Shown, key: IdempotencyKey = None) -> Response:
    """Take a person's request for access, without a login. The answer is handed over at the desk, to the person."""
    slow_down(request, app_state)
    receipt = None if shown.receipt is None else shown.receipt.encode("utf-8", "replace")
    site = app_state.site

    def take() -> StoredOutcome:
        taken = site.rights.ask(receipt=receipt, code=shown.code)
        return StoredOutcome(Taken(request_id=taken.request_id, due_at=taken.due_at))

    return await idempotent(app_state.desk, IdempotentRequest(site, "", "ask_for_access", key, shown), take)


@router.post(
    "/requests", status_code=201, response_model=RequestAnswer, summary="Take a request", max_body_size=MAX_JSON_BYTES
)
async def open_request(app_state: RoomsOf, caller: Caller, new: NewRequest, key: IdempotencyKey = None) -> Response:
    """Take a request of a person; its month begins now. No name is kept."""
    site = app_state.site
    if sum((new.receipt is not None, new.subject_id is not None, new.unknown)) != 1:
        raise InputError("got several or none of receipt, subject_id and unknown; give one of the three")

    def take() -> StoredOutcome:
        who = new.subject_id
        if new.receipt is not None:
            meant = site.receipts_of(TakeHome.parse(new.receipt.encode("utf-8", "replace")).receipt)
        else:
            meant = [] if who is None else site.receipts_of(who)
        return StoredOutcome(RequestAnswer.of(site.rights.open(new.kind, meant), site.rights.now()))

    return await idempotent(app_state.desk, IdempotentRequest(site, caller.caller_id, "open_request", key, new), take)


@router.get("/requests", summary="Requests, those due first in front")
async def list_requests(
    app_state: RoomsOf,
    _caller: Caller,
    closed: Annotated[bool, Query(description="also those that are closed")] = False,  # noqa: FBT002  a query's field
    limit: Limit = 50,
    shown: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Page[RequestAnswer]:
    """Return open requests; on demand also the closed ones."""
    site, after = app_state.site, position("requests", shown)
    kept = await app_state.desk.do(lambda: site.rights.requests(closed=closed))
    left = [one for one in kept if after is None or _place(one) > after]
    now = site.rights.now()
    following = cursor("requests", _place(left[limit - 1])) if len(left) > limit else None
    return Page(items=[RequestAnswer.of(one, now) for one in left[:limit]], next=following)


@router.get("/requests/{number}", summary="One request")
async def read_request(number: Number, app_state: RoomsOf, _caller: Caller) -> RequestAnswer:
    """Return a request, open or closed."""
    return await app_state.desk.do(lambda: _answer(app_state.site, app_state.site.rights.request(number)))


@router.post("/requests/{number}/extension", summary="Take two months more", max_body_size=MAX_JSON_BYTES)
async def extend_request(number: Number, app_state: RoomsOf, _caller: Caller, why: Extension) -> RequestAnswer:
    """Take two months more, once, within the first month. The person must be told why within that month too."""
    return await app_state.desk.do(lambda: _answer(app_state.site, app_state.site.rights.extend(number, why.because)))


@router.post(
    "/requests/{number}/answer",
    summary="The file that answers a request for access or portability",
    response_class=Response,
    responses=ZIPPED,
)
async def answer_request(
    number: Number,
    app_state: RoomsOf,
    _caller: Caller,
    with_embedding: Annotated[bool, Query(description="the embedding's numbers too")] = True,  # noqa: FBT002  as above
) -> Response:
    """Return everything that is held about the person, or that nothing is, with proof, and close the request.

    Asked again, the file is made again. It is for this person alone.
    """
    site = app_state.site
    answer = await app_state.desk.do(lambda: site.rights.hand_over(number, with_embedding=with_embedding))
    return zip_named(f"request-{number}", answer.data)


@router.post("/requests/{number}/erasure", summary="Carry out a request for erasure, or an objection")
async def carry_out_request(number: Number, app_state: RoomsOf, _caller: Caller) -> CarriedOut:
    """Erase what the person allowed, in every zone, and close the request."""
    site = app_state.site
    erased = await app_state.exit.do(lambda: site.rights.carry_out(number))
    return CarriedOut(certificate_ids=[one.certificate_id for one in erased])


@router.post("/requests/{number}/closing", summary="Close a request otherwise", max_body_size=MAX_JSON_BYTES)
async def close_request(number: Number, app_state: RoomsOf, _caller: Caller, how: Closing) -> RequestAnswer:
    """Note how a request ended. Whoever is refused must be told why, and where to complain (GDPR 12(4))."""
    return await app_state.desk.do(lambda: _answer(app_state.site, app_state.site.rights.close(number, how.outcome)))


def _answer(site: Site, request: PersonsRequest) -> RequestAnswer:
    return RequestAnswer.of(request, site.rights.now())


def _place(request: PersonsRequest) -> str:
    return f"{format_time(request.due_at)} {request.request_id}"
