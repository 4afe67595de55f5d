"""Data subject requests, with the deadline of one month (GDPR 12(3)), for the privacy officer."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StrictBool

from volens import Site
from volens.consent import InputError, TakeHome, format_time
from volens.consent.ids import SUBJECT_ID
from volens.rights import PersonsRequest
from volens.service.http.access import GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import (
    EXAMPLE_ID,
    EXAMPLE_SUBJECT,
    ZIP_RESPONSE,
    Id,
    IdInPath,
    RequestBody,
    Time,
    zip_response,
)
from volens.service.http.idempotency import Idempotent, StorableResponse
from volens.service.http.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor

router: Final = APIRouter(tags=["rights"], route_class=GuardedRoute)


class RequestAnswer(BaseModel):
    """The state of a request, without the name of the person."""

    request_id: Id
    kind: str = Field(description="access, portability, erasure, rectification or objection", examples=["access"])
    known: bool = Field(description="whether the person was found", examples=[True])
    received_at: Time
    due_at: datetime = Field(description="the deadline", examples=["2026-12-27T08:00:00Z"])
    extended_for: str | None = Field(description="complex or many; once, within the first month")
    closed_at: datetime | None
    outcome: str | None
    overdue: bool = Field(examples=[False])


class NewRequest(RequestBody):
    """A request that was made at the desk, by letter or by telephone."""

    kind: str = Field(description="access, portability, erasure, rectification or objection", examples=["erasure"])
    receipt: str | None = Field(None, description="the receipt or take-home file that the person showed")
    subject_id: str | None = Field(
        None, description="or the person's subject id", max_length=200, examples=[EXAMPLE_SUBJECT]
    )
    unknown: StrictBool = Field(False, description="or true if the person was not found; only the request is stored")


class SearchedFor(RequestBody):
    """What the person of a request was searched by, who was not found."""

    searched_for: str = Field(
        description="the name or number from the letter; it is searched for again, and the answer states it",
        max_length=200,
        examples=["Eve Example"],
    )


class Extension(RequestBody):
    """The reason for extending a request by two months."""

    because: str = Field(description="complex, or many", examples=["complex"])


class Closure(RequestBody):
    """The outcome of a request that needs no file."""

    outcome: str = Field(description="'carried out', 'refused' or 'taken back'", examples=["refused"])


class CertificateIds(BaseModel):
    """The certificates of the erasures: the consents have ended and their data is erased."""

    certificate_ids: list[str] = Field(examples=[[EXAMPLE_ID]])


@router.post("/requests", status_code=201, response_model=RequestAnswer, summary="Open a request")
async def open_request(app_state: SharedState, new: NewRequest, idempotent: Idempotent) -> Response:
    """Open a request of a person; its month begins now. No name is stored."""
    site = app_state.site
    if sum((new.receipt is not None, new.subject_id is not None, new.unknown)) != 1:
        raise InputError("got several or none of receipt, subject_id and unknown; give one of the three")

    def open_it() -> StorableResponse:
        shown = new.receipt and TakeHome.parse(new.receipt.encode("utf-8", "replace")).receipt
        person = shown or new.subject_id
        # Not by name: that is for the operator at the machine.
        is_id = not isinstance(person, str) or SUBJECT_ID.fullmatch(person) is not None
        receipt_ids = site.receipts_of(person) if person is not None and is_id else []
        if person is not None and not receipt_ids:
            raise InputError("no one is found by this; check it, or send unknown instead if the person is not found")
        return StorableResponse(_answer(site, site.rights.open(new.kind, receipt_ids)))

    return await idempotent.run(app_state.desk_pool, open_it, new)


@router.get("/requests", summary="List requests, by deadline")
async def list_requests(
    app_state: SharedState,
    closed: Annotated[bool, Query(description="include closed requests")] = False,  # noqa: FBT002  a query's field
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RequestAnswer]:
    """Return open requests; with `closed` also the closed ones."""
    site, after = app_state.site, decode_cursor("requests", cursor)
    found = await app_state.desk_pool.run(lambda: site.rights.requests(closed=closed))
    left = [one for one in found if after is None or _position(one) > after]
    following = encode_cursor("requests", _position(left[limit - 1])) if len(left) > limit else None
    return Page(items=[_answer(site, one) for one in left[:limit]], next=following)


@router.get("/requests/{number}", summary="One request")
async def read_request(number: IdInPath, app_state: SharedState) -> RequestAnswer:
    """Return a request, open or closed."""
    site = app_state.site
    return await app_state.desk_pool.run(lambda: _answer(site, site.rights.request(number)))


@router.post("/requests/{number}/extension", summary="Extend a request by two months")
async def extend_request(number: IdInPath, app_state: SharedState, why: Extension) -> RequestAnswer:
    """Extend a request by two months, once. Within the first month the person must be told the reason, too."""
    site = app_state.site
    return await app_state.desk_pool.run(lambda: _answer(site, site.rights.extend(number, why.because)))


@router.post(
    "/requests/{number}/answer",
    summary="The file that answers a request for access or portability",
    response_class=Response,
    responses=ZIP_RESPONSE,
)
async def answer_request(
    number: IdInPath,
    app_state: SharedState,
    unknown: SearchedFor | None = None,
    with_embedding: Annotated[bool, Query(description="include the embedding's numbers")] = True,  # noqa: FBT002  as above
) -> Response:
    """Return all data about the person, or a statement that there is none, with proof, and close the request.

    A body is sent only for a request that was opened with `unknown`: the answer states what was searched for. A
    repeated request creates the file again. It is for this person alone.
    """
    site, searched_for = app_state.site, None if unknown is None else unknown.searched_for
    answer = await app_state.answer_pool.run(
        lambda: site.rights.hand_over(number, with_embedding=with_embedding, searched_for=searched_for)
    )
    return zip_response(f"request-{number}", answer.data)


@router.post("/requests/{number}/erasure", summary="Carry out a request for erasure, or an objection")
async def carry_out_request(number: IdInPath, app_state: SharedState) -> CertificateIds:
    """End the person's consents in every zone, erase their data, and close the request."""
    erased = await app_state.withdrawal_pool.run(lambda: app_state.site.rights.carry_out(number))
    return CertificateIds(certificate_ids=[one.certificate_id for one in erased])


@router.post("/requests/{number}/closing", summary="Close a request otherwise")
async def close_request(number: IdInPath, app_state: SharedState, how: Closure) -> RequestAnswer:
    """Close a request with an outcome. After a refusal, tell the person why and where to complain (GDPR 12(4))."""
    site = app_state.site
    return await app_state.desk_pool.run(lambda: _answer(site, site.rights.close(number, how.outcome)))


def _answer(site: Site, request: PersonsRequest) -> RequestAnswer:
    known, overdue = request.receipt_id is not None, request.overdue(site.now())
    return RequestAnswer(**asdict(request), known=known, overdue=overdue)


def _position(request: PersonsRequest) -> str:
    return f"{format_time(request.due_at)} {request.request_id}"
