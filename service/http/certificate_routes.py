"""Operations on certificates of erasure: list them, find those of a person who shows a receipt or code, read one.

No name is in them: the names of ended consents are erased.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from volens.consent import EndReason, Purpose, ReceiptId
from volens.erase.proof import CertificateFilter, IssuedCertificate
from volens.service.http.access import Caller, GuardedRoute, visible_zone
from volens.service.http.app_state import AppState, SharedState
from volens.service.http.bodies import Id, IdInPath, Time, ZoneName, refuse_get
from volens.service.http.pagination import (
    NOT_MODIFIED,
    Cursor,
    IfNoneMatch,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    with_etag,
)
from volens.service.http.person_routes import CodeOrReceipt
from volens.service.local_times import MAX_TIME_TEXT, parse_moment, parse_since

router: Final = APIRouter(tags=["certificates"], route_class=GuardedRoute)


class IssuedCertificateAnswer(BaseModel):
    """A certificate that was issued, and the consent that it is about."""

    certificate_id: Id
    receipt_id: Id
    zone: ZoneName
    reason: str = Field(description="why the consent ended", examples=["withdrawn"])
    ended_at: Time
    issued_at: Time


class FoundCertificates(BaseModel):
    """The certificates of one consent: one, or none while it is in force or its erasure is not finished."""

    items: list[IssuedCertificateAnswer]


@router.get("/certificates", summary="List certificates of erasure, the newest first")
async def list_certificates(
    app_state: SharedState,
    caller: Caller,
    zone: Annotated[str | None, Query(description="only this zone; a caller of one zone sees that zone only")] = None,
    reason: Annotated[EndReason | None, Query(description="only consents that ended for this reason")] = None,
    since: Annotated[
        str | None,
        Query(
            description="only consents that ended on this day (2026-11-01), at this time, or later; without an offset, "
            "in the time zone of the site",
            max_length=MAX_TIME_TEXT,
        ),
    ] = None,
    until: Annotated[
        str | None, Query(description="only consents that ended on this day, or before it", max_length=MAX_TIME_TEXT)
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[IssuedCertificateAnswer]:
    """Return certificates by the end of the consent. No person is named."""
    site, now = app_state.site, app_state.site.now()
    seen, after = visible_zone(caller, zone), decode_cursor("certificates", cursor)

    def read() -> list[IssuedCertificate]:
        local = site.defaults.time_zone()
        begins = None if since is None else parse_since(since, now, local)
        ends = None if until is None else parse_moment(until, now, local)
        wanted = CertificateFilter(seen, reason, begins, ends)
        return site.erasures.issued(wanted, after=after or "", limit=limit + 1)

    found = await app_state.desk_pool.run(read)
    following = encode_cursor("certificates", found[limit - 1].position) if len(found) > limit else None
    return Page(items=[_answer(one) for one in found[:limit]], next=following)


refuse_get(router, "/certificates/search")


@router.get(
    "/certificates/{certificate_id}",
    summary="The certificate of an erasure",
    responses={200: {"content": {"application/json": {}}}, **NOT_MODIFIED},
    response_class=Response,
)
async def read_certificate(
    certificate_id: IdInPath, request: Request, app_state: SharedState, _tags: IfNoneMatch = None
) -> Response:
    """Return the file, which anyone can verify; its ETag changes when a recipient acknowledges the erasure."""
    site = app_state.site
    return with_etag(request, await app_state.desk_pool.run(lambda: site.erasures.certificate(certificate_id)))


@router.post("/certificates/search", summary="Find the certificate of a person who shows a receipt or code")
async def find_certificates(app_state: SharedState, caller: Caller, shown: CodeOrReceipt) -> FoundCertificates:
    """Return the certificate of the consent that a receipt or a withdrawal code belongs to, in the caller's zones.

    Code and receipt are in the body, so that they are in no log of a proxy, and they are stored nowhere.
    """
    found = await app_state.desk_pool.run(lambda: _of_person(app_state, caller.purpose, shown))
    return FoundCertificates(items=[_answer(one) for one in found])


def _of_person(app_state: AppState, zone: Purpose | None, shown: CodeOrReceipt) -> list[IssuedCertificate]:
    site = app_state.site
    meant: ReceiptId = site.rights.consent_shown(receipt=shown.receipt_bytes(), code=shown.code)
    return site.erasures.issued(CertificateFilter(zone, receipt_ids=[meant]))


def _answer(one: IssuedCertificate) -> IssuedCertificateAnswer:
    return IssuedCertificateAnswer(
        certificate_id=one.certificate_id,
        receipt_id=one.receipt_id,
        zone=one.purpose,
        reason=one.reason,
        ended_at=one.ended_at,
        issued_at=one.issued_at,
    )
