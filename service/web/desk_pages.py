"""Pages of the desk about people: who is here, a search by name, one person, their photos and their new code.

A member who is bound to a zone sees that zone alone. What a page changes, its script sends to the operations under
``/v1``; each list with names is recorded in the log as the command line's is (`volens.rights.people_directory`).
"""

from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup
from starlette.exceptions import HTTPException

from volens import Site, TakeHome
from volens.consent import (
    Custody,
    NoLiveConsentError,
    Purpose,
    ReceiptId,
    SecondFactor,
    VerifiedReceipt,
    Zone,
    parse_purpose,
)
from volens.enroll import advise_capture
from volens.enroll.capture_advice import Advice, Pose
from volens.face import EncodedImage
from volens.face.image_formats import NETWORK_FORMATS
from volens.face.pixel_budget import PixelBudget
from volens.rights.people_directory import ENDING_DAYS
from volens.service.consent_sheet import sheet_page
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import MAX_FRAME_BYTES, IdInPath
from volens.service.http.pagination import Cursor, decode_cursor, encode_cursor
from volens.service.http.presented_token import badge_bytes
from volens.service.http.same_origin import same_origin
from volens.service.people_csv import people_csv
from volens.service.principal import Principal
from volens.service.qr_codes import qr_svg
from volens.service.web.badge_in_browser import badge_in_browser
from volens.service.web.page_response import PRINTED_PAGE_POLICY, render, zone_name
from volens.service.web.staff_session import DeskPageRoute, Staff
from volens.store.people.people_list import ConsentFilter, ConsentState, WantedState, filter_of

router: Final = APIRouter(route_class=DeskPageRoute)

ON_A_PAGE: Final = 50
MAX_TAKE_HOME_BYTES: Final = 2 * 2**20
MAX_BADGE_FORM_BYTES: Final = 32 * 2**10
_LOOK: Final = PixelBudget("a picture of the camera", 2_000_000)
_SEE_OTHER: Final = 303

SUBJECT_ID: Final = "^[0-9A-Za-z_-]{43}$"
SubjectInPath = Annotated[str, Path(pattern=SUBJECT_ID)]
ZoneInQuery = Annotated[str | None, Query(max_length=100)]
TakeHomeField = Annotated[str, Form(max_length=MAX_TAKE_HOME_BYTES)]


class Shown(StrEnum):
    """The filters of the list of people."""

    ALL = "all"
    CONSENTED = "consented"
    ENROLLED = "enrolled"
    RESTRICTED = "restricted"
    ENDING = "ending"


def zone_seen(site: Site, caller: Principal, asked: str | None) -> Purpose | None:
    """Return the zone whose people a member sees: the member's own, else the one asked for; None for all.

    Raises:
        HTTPException: 403, the member is bound to another zone.
        UnknownError: there is no such zone.
    """
    zone = parse_purpose(asked) if asked else caller.purpose
    if caller.purpose not in {None, zone}:
        raise HTTPException(403)
    return None if zone is None else site.zones.get(zone).purpose


def zones_of(site: Site, caller: Principal) -> list[Zone]:
    """Return the zones that a member may use."""
    return [one for one in site.zones.all() if caller.purpose in {None, one.purpose}]


def called(site: Site) -> Any:  # noqa: ANN401  a function, for a template
    """Return a function that names a zone as people call it."""
    names = {one.purpose: zone_name(one) for one in site.zones.all()}
    return lambda purpose: names.get(purpose, purpose)


@router.get("/desk", name="desk_people")
async def people_page(
    request: Request,
    app_state: SharedState,
    staff: Staff,
    show: Shown = Shown.ALL,
    zone: ZoneInQuery = None,
    cursor: Cursor = None,
) -> Response:
    """Show how many people there are, and a page of those of a filter."""
    site, after = app_state.site, decode_cursor("desk-people", cursor)

    def page() -> Response:
        seen = zone_seen(site, staff.caller, zone)
        found = site.people.page(
            _filter(site, show, seen), after=after or "", limit=ON_A_PAGE, shown_to=staff.caller.caller_id
        )
        following = None if found.last is None else encode_cursor("desk-people", found.last)
        return render(
            request,
            "desk/people.html",
            staff=staff,
            section="/desk",
            entries=found.entries,
            next=following,
            is_first=cursor is None,
            show=show,
            seen=seen or "",
            counts=site.people.counts(seen),
            invited=site.invitations.number_open(seen),
            days=ENDING_DAYS,
            **_list_values(site, staff.caller),
        )

    return await app_state.desk_pool.run(page)


@router.get("/desk/people/list.csv", name="desk_people_csv")
async def people_file(
    app_state: SharedState, staff: Staff, show: Shown = Shown.ALL, zone: ZoneInQuery = None
) -> Response:
    """Return the list of a filter as a CSV file."""
    site = app_state.site

    def read() -> bytes:
        wanted = _filter(site, show, zone_seen(site, staff.caller, zone))
        return people_csv(site.people.everyone(wanted, shown_to=staff.caller.caller_id))

    data = await app_state.desk_pool.run(read)
    return Response(data, media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="people.csv"'})


@router.get("/desk/search", name="desk_search_form")
@router.get("/desk/code", name="desk_no_code")
@router.get("/desk/code/sheet", name="desk_no_sheet")
@router.get("/desk/badge", name="desk_no_badge")
async def back_to_people(request: Request) -> Response:
    """Lead back to the list: what was searched for, or a code, is in no address, so it cannot be shown again."""
    language = request.query_params.get("lang")
    return RedirectResponse("/desk" if language is None else f"/desk?lang={language[:2]}", _SEE_OTHER)


@router.post("/desk/search", name="desk_search", dependencies=[Depends(same_origin)])
async def search(
    request: Request,
    app_state: SharedState,
    staff: Staff,
    name: Annotated[str, Form(max_length=200)] = "",
    zone: Annotated[str | None, Form(max_length=100)] = None,
) -> Response:
    """Find people by a part of their name. The text is in the body, so that it is in no log and no history."""
    site = app_state.site

    def page() -> Response:
        seen = zone_seen(site, staff.caller, zone)
        found = None
        if name.strip():
            found = site.people.find(name, zone=seen, shown_to=staff.caller.caller_id)
        values = _list_values(site, staff.caller)
        return render(
            request, "desk/found.html", staff=staff, section="/desk", found=found, name=name, seen=seen or "", **values
        )

    return await app_state.desk_pool.run(page)


@router.get("/desk/people/{subject_id}", name="desk_person")
async def person_page(
    request: Request, app_state: SharedState, staff: Staff, subject_id: SubjectInPath, done: str | None = None
) -> Response:
    """Show one person: consents, what is set up, and what the desk can do for them."""
    site = app_state.site

    def page() -> Response:
        record = site.people.show(subject_id, zone=staff.caller.purpose, shown_to=staff.caller.caller_id)
        factors = {one.consent.receipt_id: site.factors.of(one.consent.receipt_id) for one in record.in_force}
        stops = {
            one.receipt_id: site.zones.stop_at(one.purpose, one.restricted_at)
            for one in (entry.consent for entry in record.in_force)
            if one.restricted_at is not None
        }
        return render(
            request,
            "desk/person.html",
            staff=staff,
            section="/desk",
            person=record,
            zones={one.purpose: one for one in site.zones.all()},
            factors=factors,
            stops=stops,
            no_factor=SecondFactor.NONE,
            done=done,
            **_list_values(site, staff.caller),
        )

    return await app_state.desk_pool.run(page)


@router.get("/desk/photos/{receipt_id}", name="desk_photos_page")
async def photos_page(request: Request, app_state: SharedState, staff: Staff, receipt_id: IdInPath) -> Response:
    """Take the first photos of a person who consented, or new ones, by the camera of the desk or from files."""
    site = app_state.site

    def page() -> Response:
        stored = site.changes.in_force([ReceiptId(receipt_id)])
        _check_zone(staff.caller, stored.purpose)
        record = site.people.show(receipt_id, zone=staff.caller.purpose, shown_to=staff.caller.caller_id)
        entry = next(one for one in record.in_force if one.consent.receipt_id == receipt_id)
        zone = site.zones.get(stored.purpose)
        holds_secret = zone.custody is Custody.SUBJECT_KEY
        return render(
            request,
            "desk/photos.html",
            camera=True,
            staff=staff,
            section="/desk",
            entry=entry,
            zone=zone,
            custodies=Custody,
            commitment=site.rights.own.commitment(stored.receipt_id).hex() if holds_secret else None,
            **_list_values(site, staff.caller),
        )

    return await app_state.desk_pool.run(page)


@router.post(
    "/desk/look/{receipt_id}", name="desk_look", max_body_size=MAX_FRAME_BYTES, dependencies=[Depends(same_origin)]
)
async def look(
    request: Request, app_state: SharedState, staff: Staff, receipt_id: IdInPath, pose: Pose = Pose.ANY
) -> dict[str, Advice]:
    """Say what keeps a picture of the camera from being a good photo. No embedding is computed."""
    frame = EncodedImage(await request.body(), "the picture", NETWORK_FORMATS, _LOOK)
    site = app_state.site

    def consent() -> VerifiedReceipt:
        stored = site.changes.in_force([ReceiptId(receipt_id)])
        _check_zone(staff.caller, stored.purpose)
        return stored.verified()

    verified = await app_state.desk_pool.run(consent)

    def advice() -> Advice:
        return advise_capture(site.installation, lambda: site.extractor, verified.unverified, frame, pose)

    zone, caller = verified.claims.purpose, staff.caller.caller_id
    return {"advice": await app_state.enrollment_pool.run(advice, zone=zone, caller=caller)}


@router.post("/desk/code", name="desk_code", max_body_size=MAX_TAKE_HOME_BYTES, dependencies=[Depends(same_origin)])
async def code_page(request: Request, app_state: SharedState, staff: Staff, take_home: TakeHomeField) -> Response:
    """Show a code that was just issued, to hand over: with its QR code, the file and the sheet. Nothing is stored."""

    def page() -> Response:
        shown = TakeHome.parse(take_home.encode("utf-8"))
        if shown.code is None:
            raise NoLiveConsentError("got a receipt without a code; issue the code again")
        return render(
            request,
            "desk/code.html",
            staff=staff,
            section="/desk",
            code=shown.code.reveal(),
            qr=Markup(qr_svg(shown.qr_text())),  # noqa: S704  drawn here
            take_home=take_home,
            subject_id=shown.receipt.claims.subject_id,
            has_page=shown.site is not None,
        )

    return await app_state.page_pool.run(page)


@router.post(
    "/desk/code/sheet", name="desk_sheet", max_body_size=MAX_TAKE_HOME_BYTES, dependencies=[Depends(same_origin)]
)
async def code_sheet(app_state: SharedState, staff: Staff, take_home: TakeHomeField) -> Response:
    """Return the person's consent sheet, to print."""
    del staff
    shown = TakeHome.parse(take_home.encode("utf-8"))
    zone = app_state.site.defaults.time_zone
    text = await app_state.page_pool.run(lambda: sheet_page(shown, time_zone=zone()))
    return printed(text)


@router.post("/desk/badge", name="desk_badge", max_body_size=MAX_BADGE_FORM_BYTES, dependencies=[Depends(same_origin)])
async def badge_page(
    request: Request,
    app_state: SharedState,
    staff: Staff,
    badge: Annotated[str, Form(max_length=MAX_BADGE_FORM_BYTES)],
    subject_id: Annotated[str, Form(pattern=SUBJECT_ID)],
) -> Response:
    """Show a badge that was just made, to hand over: its QR codes and its file. Nothing is stored."""

    def page() -> Response:
        shown = badge_in_browser(badge_bytes(badge) or b"")
        return render(request, "desk/badge.html", staff=staff, section="/desk", badge=shown, subject_id=subject_id)

    return await app_state.page_pool.run(page)


def printed(text: str) -> Response:
    """Return a page to print, whose style is inside it."""
    headers = {"Content-Security-Policy": PRINTED_PAGE_POLICY, "X-Frame-Options": "DENY"}
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)


def _filter(site: Site, show: Shown, zone: Purpose | None) -> ConsentFilter:
    if show is Shown.ENDING:
        return site.people.ends_within(ENDING_DAYS, ConsentFilter(zone=zone))
    return filter_of(None if show is Shown.ALL else WantedState(show.value), zone)


def _list_values(site: Site, caller: Principal) -> dict[str, Any]:
    return {"called": called(site), "zones_seen": zones_of(site, caller), "states": ConsentState}


def _check_zone(caller: Principal, zone: Purpose) -> None:
    if caller.purpose not in {None, zone}:
        raise NoLiveConsentError("there is no consent in force for this receipt")
