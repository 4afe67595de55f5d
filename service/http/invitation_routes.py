"""Operations of the desk on invitations: make, list, send again, cancel. The person's own pages need no credential."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Response, UploadFile
from pydantic import BaseModel, Field, StrictInt

from volens import Site
from volens.consent.invitation import InvitationState
from volens.consent.reason import Reason
from volens.enroll import Invitation, InvitedRow
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import Id, IdInPath, RequestBody, Time, ZoneName, read_upload
from volens.service.http.consent_routes import TermEnd, term_end
from volens.service.http.idempotency import Idempotent, StorableResponse
from volens.service.invitation_letter import public_origin

MAX_TABLE_BYTES: Final = 2**20

router: Final = APIRouter(tags=["desk"], route_class=GuardedRoute)


class NewInvitation(RequestBody):
    """A person to invite. Nothing is sent: the desk hands the link over."""

    name: str = Field(description="stored encrypted, until the invitation ends", examples=["Ada Example"])
    jurisdiction: str | None = Field(
        None, description="the law that protects the person: ISO 3166; else the site's default", examples=["FR"]
    )
    language: str | None = Field(None, description="of the notice", examples=["en"])
    external_id: str | None = Field(
        None, description="the person's id in the staff list; only a keyed hash is stored", examples=["4711"]
    )
    valid_days: StrictInt | None = Field(None, description="the term of the consent; else the zone's retention")
    valid_until: TermEnd = None
    days: StrictInt = Field(14, description="how long the link is open, 1 to 90")


class NewLink(RequestBody):
    """A new link for an open invitation; the older ones open nothing any more."""

    days: StrictInt = Field(14, description="how long the link is open, 1 to 90", examples=[14])


class InvitationAnswer(BaseModel):
    """An invitation with its link, which is for the person alone."""

    invitation_id: Id
    zone: ZoneName
    language: str = Field(examples=["en"])
    expires_at: Time
    link: str = Field(examples=["https://door.example/invitation#Dk8..."])


class InvitationEntry(BaseModel):
    """An invitation in the desk's list, without its link."""

    invitation_id: Id
    zone: ZoneName
    name: str | None = Field(description="null once it has ended", examples=["Ada Example"])
    state: InvitationState = Field(description="those that were refused are not listed", examples=["open"])
    language: str = Field(examples=["en"])
    jurisdiction: str = Field(examples=["FR"])
    is_linked: bool = Field(description="the consent will be linked to an id in the staff list", examples=[True])
    invited_by: str = Field(description="the id of the credential, or 'command line'", examples=["86c42cc34fe8d921"])
    invited_at: Time
    expires_at: Time


class InvitationsAnswer(BaseModel):
    """The invitations of a zone, by expiry."""

    items: list[InvitationEntry]


class ImportedRow(BaseModel):
    """What became of a row of the table."""

    number: int = Field(description="of the row in the file; the heading is 1", examples=[2])
    name: str = Field(examples=["Ada Example"])
    invitation: InvitationAnswer | None = Field(description="null if the row was refused")
    reason: str = Field(description="why it was refused; empty if it was not", examples=[""])
    code: Reason | None = Field(description="of that reason, where it has one")


class ImportAnswer(BaseModel):
    """The report on a table, row by row. The links are each for one person alone."""

    rows: list[ImportedRow]


@router.post(
    "/zones/{zone}/invitations", status_code=201, response_model=InvitationAnswer, summary="Invite a person to a zone"
)
async def invite(
    zone: str, app_state: SharedState, new: NewInvitation, idempotent: Idempotent, caller: Caller
) -> Response:
    """Make a link for one person and one use."""
    site = app_state.site

    def make() -> StorableResponse:
        public_origin(site)
        made = site.invitations.invite(
            zone,
            name=new.name,
            jurisdiction=site.defaults.jurisdiction(new.jurisdiction),
            language=new.language,
            external_id=new.external_id,
            valid_days=new.valid_days,
            valid_until=term_end(site, new.valid_until),
            days=new.days,
            invited_by=caller.caller_id,
        )
        return _response(site, made)

    return await idempotent.run(app_state.desk_pool, make, zone, new)


@router.get("/zones/{zone}/invitations", summary="List the invitations to a zone, with names")
async def list_invitations(
    zone: str,
    app_state: SharedState,
    caller: Caller,
    state: Annotated[InvitationState | None, Query(description="only invitations of this state")] = None,
) -> InvitationsAnswer:
    """Return the invitations by expiry. The log records who looked. Who said no is not listed."""
    found = await app_state.desk_pool.run(
        lambda: app_state.site.invitations.list(zone, state, shown_to=caller.caller_id)
    )
    return InvitationsAnswer(items=[InvitationEntry.model_validate(one, from_attributes=True) for one in found])


@router.post(
    "/zones/{zone}/invitation-imports",
    status_code=201,
    response_model=ImportAnswer,
    summary="Invite the people of a table",
    max_body_size=MAX_TABLE_BYTES,
)
async def import_invitations(
    zone: str,
    app_state: SharedState,
    table: UploadFile,
    idempotent: Idempotent,
    caller: Caller,
    jurisdiction: Annotated[str | None, Form(description="for rows without one; else the site's default")] = None,
    days: Annotated[int, Form(description="how long the links are open, 1 to 90")] = 14,
) -> Response:
    """Invite the people of a CSV file, in one transaction, and return a report on each row.

    Columns: `name`, and if you like `zone`, `external_id`, `language`, `jurisdiction`, `valid_days`. A row that is
    refused, such as one of another zone, does not stop the others; a second request invites no person twice.
    """
    site, data = app_state.site, await read_upload(table) or b""

    def make() -> StorableResponse:
        origin = public_origin(site)
        law = site.defaults.jurisdiction(jurisdiction)
        report = site.invitations.import_csv(
            data, zone=zone, jurisdiction=law, days=days, invited_by=caller.caller_id, only_zone=True
        )
        return StorableResponse(ImportAnswer(rows=[_row(one, origin) for one in report]))

    return await idempotent.run(app_state.desk_pool, make, zone, data, jurisdiction or "", days)


@router.post(
    "/zones/{zone}/invitations/{invitation_id}/links",
    status_code=201,
    response_model=InvitationAnswer,
    summary="Make a new link for an invitation",
)
async def resend_invitation(
    zone: str, invitation_id: IdInPath, app_state: SharedState, new: NewLink, idempotent: Idempotent
) -> Response:
    """Make a new link for an open invitation; the older ones open nothing any more."""
    site = app_state.site

    def make() -> StorableResponse:
        public_origin(site)
        return _response(site, site.invitations.resend(invitation_id, days=new.days, zone=zone))

    return await idempotent.run(app_state.desk_pool, make, zone, invitation_id, new)


@router.delete("/zones/{zone}/invitations/{invitation_id}", status_code=204, summary="Cancel an invitation")
async def cancel_invitation(zone: str, invitation_id: IdInPath, app_state: SharedState) -> None:
    """Cancel an open invitation: its name is erased, and its link opens nothing any more."""
    await app_state.desk_pool.run(lambda: app_state.site.invitations.cancel(invitation_id, zone=zone))


def _response(site: Site, made: Invitation) -> StorableResponse:
    return StorableResponse(_answer(made, public_origin(site)))


def _answer(made: Invitation, origin: str) -> InvitationAnswer:
    return InvitationAnswer(
        invitation_id=made.invitation_id,
        zone=made.zone,
        language=made.language,
        expires_at=made.expires_at,
        link=made.token.link(origin),
    )


def _row(one: InvitedRow, origin: str) -> ImportedRow:
    invitation = None if one.invitation is None else _answer(one.invitation, origin)
    return ImportedRow(number=one.number, name=one.person.name, invitation=invitation, reason=one.reason, code=one.code)
