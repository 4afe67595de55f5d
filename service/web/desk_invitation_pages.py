"""Pages of the desk about invitations: who has not answered, a new one, a whole table, and the letter to hand over."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup
from starlette.exceptions import HTTPException

from volens import Site
from volens.consent.invitation import InvitationState, InvitationToken
from volens.enroll import Invitation
from volens.service.http.app_state import SharedState
from volens.service.http.same_origin import same_origin
from volens.service.invitation_letter import InvitationLetter
from volens.service.principal import Principal
from volens.service.qr_codes import qr_svg
from volens.service.web.desk_pages import ON_A_PAGE, ZoneInQuery, called, printed, zone_seen, zones_of
from volens.service.web.page_response import render
from volens.service.web.staff_session import DeskPageRoute, Staff

router: Final = APIRouter(route_class=DeskPageRoute)

_SEE_OTHER: Final = 303
LinkField = Annotated[str, Form(max_length=500)]


@router.get("/desk/invitations", name="desk_invitations")
async def invitations_page(
    request: Request,
    app_state: SharedState,
    staff: Staff,
    state: InvitationState = InvitationState.OPEN,
    zone: ZoneInQuery = None,
    page: int = 0,
) -> Response:
    """Show the invitations of a state, and how many people said no, who are listed nowhere."""
    site = app_state.site

    def shown() -> Response:
        seen = zone_seen(site, staff.caller, zone)
        number = max(0, min(page, 10_000))
        found = site.invitations.page(
            seen, state, offset=number * ON_A_PAGE, limit=ON_A_PAGE, shown_to=staff.caller.caller_id
        )
        refused = sum(one.count for one in site.invitations.counts(seen) if one.event == "refused")
        return render(
            request,
            "desk/invitations.html",
            staff=staff,
            section="/desk/invitations",
            entries=found.entries,
            total=found.total,
            number=number,
            has_more=(number + 1) * ON_A_PAGE < found.total,
            state=state,
            states=InvitationState,
            refused=refused,
            seen=seen or "",
            called=called(site),
            zones_seen=zones_of(site, staff.caller),
        )

    return await app_state.desk_pool.run(shown)


@router.get("/desk/invitations/new", name="desk_new_invitation")
async def new_invitation_page(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Invite one person, or the people of a table."""
    site = app_state.site

    def shown() -> Response:
        zones = zones_of(site, staff.caller)
        return render(
            request,
            "desk/new_invitation.html",
            staff=staff,
            section="/desk/invitations",
            called=called(site),
            zones_seen=zones,
            notice_languages=sorted({one.language for zone in zones for one in site.zones.notices(zone.purpose)}),
            law=site.defaults.get().jurisdiction,
            has_address=site.defaults.public_url() is not None,
        )

    return await app_state.desk_pool.run(shown)


@router.get("/desk/letter", name="desk_no_letter")
@router.get("/desk/letter/sheet", name="desk_no_letter_sheet")
async def back_to_invitations() -> Response:
    """Lead back to the list: a link is in no address, so it cannot be shown again."""
    return RedirectResponse("/desk/invitations", _SEE_OTHER)


@router.post("/desk/letter", name="desk_letter", dependencies=[Depends(same_origin)])
async def letter_page(request: Request, app_state: SharedState, staff: Staff, link: LinkField) -> Response:
    """Show a link that was just made, to hand over: QR code, sheet, e-mail and text message. Nothing is sent."""
    site = app_state.site

    def shown() -> Response:
        letter = _letter(site, staff.caller, link)
        return render(
            request,
            "desk/letter.html",
            staff=staff,
            section="/desk/invitations",
            letter=letter,
            qr=Markup(qr_svg(letter.link)),  # noqa: S704  drawn here
            mail=letter.mail(),
            sms=letter.sms().strip(),
        )

    return await app_state.desk_pool.run(shown)


@router.post("/desk/letter/sheet", name="desk_letter_sheet", dependencies=[Depends(same_origin)])
async def letter_sheet(app_state: SharedState, staff: Staff, link: LinkField) -> Response:
    """Return the sheet of an invitation, to print."""
    text = await app_state.desk_pool.run(lambda: _letter(app_state.site, staff.caller, link).page())
    return printed(text)


def _letter(site: Site, caller: Principal, link: str) -> InvitationLetter:
    """Return the letter of an open invitation, for the desk that has its link.

    Raises:
        HTTPException: 403, the invitation is to a zone that the member may not use.
        UnknownInvitationError, InvitationEndedError: see `Invitations.open`.
    """
    token = InvitationToken.parse(link)
    view = site.invitations.open(token.reveal())
    if caller.purpose not in {None, view.zone.purpose}:
        raise HTTPException(403)
    made = Invitation(token.invitation_id, view.zone.purpose, view.name, view.language, view.expires_at, token)
    return InvitationLetter.of(site, made)
