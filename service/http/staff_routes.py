"""Members of staff, credentials of programs, and kiosks: what the operator's pages change."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, StrictInt

from volens.consent.relying_party import RelyingParty
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import RequestBody, Time, ZoneName
from volens.service.http.idempotency import Idempotent, StorableResponse
from volens.service.kiosk_link import kiosk_link
from volens.service.qr_codes import qr_modules
from volens.service.staff_link import staff_link
from volens.store.programs import Role
from volens.store.programs.credentials import DEFAULT_VALID_DAYS, Credential, CredentialToken
from volens.store.programs.staff import DEFAULT_LINK_HOURS, StaffMember

router: Final = APIRouter(tags=["staff"], route_class=GuardedRoute)

_EXAMPLE: Final = "86c42cc34fe8d921"
_LINK: Final = "shown once: a secret until it was opened"
_CredentialInPath = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


class CredentialAnswer(BaseModel):
    """A credential in force, without its token."""

    credential: str = Field(examples=[_EXAMPLE])
    label: str = Field(examples=["lobby tablet"])
    role: Role = Field(examples=["door"])
    zone: ZoneName | None = Field(description="the only zone in which it is valid; null for all")
    issued_at: Time
    expires_at: Time

    @classmethod
    def of(cls, one: Credential) -> "CredentialAnswer":
        """Return the answer for a credential."""
        return cls(**_facts(one))


class StaffAnswer(CredentialAnswer):
    """A member of staff whose credential is in force."""

    passkeys: int = Field(description="0 until the member has opened the link", examples=[1])
    passkey_added_at: datetime | None = Field(examples=["2026-11-27T08:00:00Z"])
    link_until: Time

    @classmethod
    def of_member(cls, one: StaffMember) -> "StaffAnswer":
        """Return the answer for a member."""
        added = one.passkey_added_at
        return cls(
            **_facts(one.credential),
            passkeys=int(added is not None),
            passkey_added_at=added,
            link_until=_link_end(one.credential),
        )


class LinkAnswer(CredentialAnswer):
    """A new credential with the link that makes it usable."""

    link: str = Field(description=_LINK, examples=["https://doors.example.com/staff#volens_..."])
    qr: list[str] = Field(
        description="the link's QR code without its quiet zone: a text for each row, '1' for each dark module",
        examples=[["101", "010", "101"]],
    )
    link_until: datetime | None = Field(
        description="when the link ends; null: with the credential", examples=["2026-11-30T08:00:00Z"]
    )


class NewMember(RequestBody):
    """A member of staff to add."""

    label: str = Field(max_length=400, examples=["reception, early shift"])
    role: Role = Field(
        description="'desk' or 'auditor'; others are added on the machine of the site", examples=["desk"]
    )
    zone: str | None = Field(None, max_length=200, description="the only zone of a desk; null for all")
    valid_days: StrictInt = DEFAULT_VALID_DAYS
    link_hours: StrictInt = DEFAULT_LINK_HOURS


class NewKiosk(RequestBody):
    """A tablet beside a door."""

    label: str | None = Field(None, max_length=400, description="without it, that of its zone", examples=["left door"])
    valid_days: StrictInt = DEFAULT_VALID_DAYS


@router.get("/credentials", summary="List the credentials of programs")
async def list_credentials(app_state: SharedState) -> list[CredentialAnswer]:
    """Return the credentials in force that are not those of members of staff, by label. Tokens are not stored."""
    found = await app_state.desk_pool.run(app_state.site.programs.credentials.list)
    return [CredentialAnswer.of(one) for one in found if one.link_until is None]


@router.delete("/credentials/{credential_id}", status_code=204, summary="End a credential")
async def end_credential(credential_id: _CredentialInPath, app_state: SharedState, caller: Caller) -> Response:
    """End a credential at once, also that of a member of staff. A repeated call changes nothing."""
    credentials = app_state.site.programs.credentials
    await app_state.desk_pool.run(lambda: credentials.end(credential_id, by=caller.caller_id))
    return Response(status_code=204)


@router.post(
    "/zones/{zone}/kiosks", status_code=201, response_model=LinkAnswer, summary="Make the link that pairs a kiosk"
)
async def link_kiosk(
    zone: str, app_state: SharedState, caller: Caller, new: NewKiosk, idempotent: Idempotent
) -> Response:
    """Issue a door's credential for one tablet, and return the link to open once in the tablet's browser."""

    def issue() -> StorableResponse:
        public = app_state.site.defaults.address_for_links()
        purpose = app_state.site.zones.get(zone).purpose
        credential, token = app_state.site.programs.credentials.issue(
            label=new.label or f"kiosk {purpose}",
            role=Role.DOOR,
            zone=purpose,
            valid_days=new.valid_days,
            by=caller.caller_id,
        )
        return _link(credential, kiosk_link(public, purpose, token))

    return await idempotent.run(app_state.desk_pool, issue, zone, new)


@router.get("/staff", summary="List the members of staff")
async def list_staff(app_state: SharedState) -> list[StaffAnswer]:
    """Return the members whose credential is in force, by label."""
    found = await app_state.desk_pool.run(app_state.site.programs.staff.list)
    return [StaffAnswer.of_member(one) for one in found]


@router.post("/staff", status_code=201, response_model=LinkAnswer, summary="Add a member of staff")
async def add_staff(app_state: SharedState, caller: Caller, new: NewMember, idempotent: Idempotent) -> Response:
    """Add a member of the desk, or an auditor, and return the link with which they make their passkey."""

    def add() -> StorableResponse:
        public = app_state.site.defaults.address_for_links()
        made = app_state.site.programs.staff.add(**new.model_dump(), by=caller.caller_id)
        return _staff_link(public, *made)

    return await idempotent.run(app_state.desk_pool, add, new)


@router.post(
    "/staff/{credential_id}/recovery", status_code=201, response_model=LinkAnswer, summary="Recover a member's sign-in"
)
async def recover_staff(
    credential_id: _CredentialInPath, app_state: SharedState, caller: Caller, idempotent: Idempotent
) -> Response:
    """End a member's passkey, and return a new link for the same member. An operator cannot recover themselves."""

    def recover() -> StorableResponse:
        public = app_state.site.defaults.address_for_links()
        return _staff_link(public, *app_state.site.programs.staff.recover(credential_id, by=caller.caller_id))

    return await idempotent.run(app_state.desk_pool, recover, credential_id)


def _facts(one: Credential) -> dict[str, Any]:
    return {
        "credential": one.credential_id,
        "label": one.label,
        "role": one.role,
        "zone": one.purpose,
        "issued_at": one.issued_at,
        "expires_at": one.expires_at,
    }


def _link_end(one: Credential) -> datetime:
    if one.link_until is None:  # a member of staff has one; without it this is a bug
        raise AssertionError
    return one.link_until


def _staff_link(public: RelyingParty, credential: Credential, token: CredentialToken) -> StorableResponse:
    return _link(credential, staff_link(public, token))


def _link(credential: Credential, link: str) -> StorableResponse:
    qr = ["".join("1" if module else "0" for module in row) for row in qr_modules(link)]
    body = LinkAnswer(**_facts(credential), link=link, qr=qr, link_until=credential.link_until)
    return StorableResponse(body, has_secret=True)
