"""Operations of the desk on the directory of people: list them, find them by name, show one. Each is recorded."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from volens.consent import InputError
from volens.consent.invitation import InvitationState
from volens.enroll import ListedInvitation
from volens.rights import PersonEntry
from volens.service.http.access import Caller, GuardedRoute, visible_zone
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import EXAMPLE_ID, Id, RequestBody, SubjectId, Time, ZoneName, refuse_get
from volens.service.http.pagination import (
    Cursor,
    Limit,
    Page,
    decode_cursor,
    decode_number_cursor,
    encode_cursor,
)
from volens.store.people.people_list import WantedState, filter_of

router: Final = APIRouter(tags=["people"], route_class=GuardedRoute)

_SubjectInPath = Annotated[str, Path(pattern="^[0-9A-Za-z_-]{43}$")]
_ZoneInQuery = Annotated[str | None, Query(description="only this zone; a caller of one zone sees that zone only")]


class PersonConsent(BaseModel):
    """A consent in force, with the name of the person who gave it."""

    name: str | None = Field(description="null if the name does not open", examples=["Ada Example"])
    zone: ZoneName
    receipt_id: Id
    subject_id: SubjectId
    state: str = Field(
        description="consented (no photos yet), enrolled, restricted, ended (waits for the sweep) or damaged",
        examples=["enrolled"],
    )
    custody: str = Field(examples=["operator"])
    given_at: datetime | None = Field(
        description="null if the receipt cannot be read", examples=["2026-11-27T08:00:00Z"]
    )
    ends_at: Time
    end_reason: str = Field(description="which clock ends it", examples=["expired"])
    references: int = Field(description="how many biometric references", examples=[1])
    second_factor: str | None = Field(description="badge or pin, if one is set", examples=["pin"])
    has_badge: bool = Field(examples=[False])
    is_linked: bool = Field(description="linked to an id in the staff list", examples=[True])
    restricted_at: datetime | None = Field(description="since when the person has paused it (GDPR 18), else null")


class InvitedPerson(BaseModel):
    """A person who was invited and has not answered yet."""

    name: str | None = Field(examples=["Ada Example"])
    zone: ZoneName
    state: Literal["invited"] = Field(examples=["invited"])
    invitation_id: Id
    invited_at: Time
    expires_at: Time


class EndedAnswer(BaseModel):
    """A consent that has ended; its receipt is kept as evidence, without a name."""

    zone: ZoneName
    receipt_id: Id
    reason: str = Field(examples=["withdrawn"])
    ended_at: Time
    certificate_id: str | None = Field(description="null while the erasure is not finished", examples=[EXAMPLE_ID])


class PersonAnswer(BaseModel):
    """One person: the consents in force, and those that have ended."""

    subject_id: SubjectId
    in_force: list[PersonConsent]
    ended: list[EndedAnswer]


class NameSearch(RequestBody):
    """A part of a name; it is recorded nowhere."""

    name: str = Field(max_length=200, examples=["exampl"])
    zone: str | None = Field(None, description="only this zone", examples=["lobby"])


class FoundAnswer(BaseModel):
    """The people found, by name; at most 200."""

    items: list[PersonConsent]
    has_more: bool = Field(description="more people have such a name; search for a longer part", examples=[False])
    unopened: int = Field(description="names that could not be opened and compared", examples=[0])


@router.get("/people", summary="List the people with a consent in force, with names")
async def list_people(
    app_state: SharedState,
    caller: Caller,
    zone: _ZoneInQuery = None,
    state: Annotated[
        WantedState | None,
        Query(description="only people in this state; invited: without an answer yet, who have no consent"),
    ] = None,
    ends_within: Annotated[int | None, Query(description="only consents that end within so many days")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PersonConsent | InvitedPerson]:
    """Return the consents in force, by receipt id. The log records who looked, and at how many people.

    With `state=invited`, the open invitations instead, by expiry.
    """
    seen = visible_zone(caller, zone)
    if state is WantedState.INVITED:
        if ends_within is not None:
            raise InputError("people who are invited have no consent that could end; leave 'ends_within' out")
        offset = decode_number_cursor("invited", cursor) or 0
        invited = await app_state.desk_pool.run(
            lambda: app_state.site.invitations.page(
                seen, InvitationState.OPEN, offset=offset, limit=limit, shown_to=caller.caller_id
            )
        )
        end = offset + limit
        more = encode_cursor("invited", end) if end < invited.total else None
        return Page(items=[_invited(one) for one in invited.entries], next=more)
    people, after = app_state.site.people, decode_cursor("people", cursor)
    wanted = filter_of(state, seen)
    if ends_within is not None:
        wanted = people.ends_within(ends_within, wanted)
    page = await app_state.desk_pool.run(
        lambda: people.page(wanted, after=after or "", limit=limit, shown_to=caller.caller_id)
    )
    following = None if page.last is None else encode_cursor("people", page.last)
    return Page(items=[_answer(one) for one in page.entries], next=following)


refuse_get(router, "/people/search")


@router.get("/people/{subject_id}", summary="Show one person")
async def show_person(subject_id: _SubjectInPath, app_state: SharedState, caller: Caller) -> PersonAnswer:
    """Return the consents of a person, in force and ended, in the zones that the caller may use."""
    record = await app_state.desk_pool.run(
        lambda: app_state.site.people.show(subject_id, zone=caller.purpose, shown_to=caller.caller_id)
    )
    ended = [EndedAnswer(zone=one.purpose, **asdict(one)) for one in record.ended]
    return PersonAnswer(subject_id=subject_id, in_force=[_answer(one) for one in record.in_force], ended=ended)


@router.post("/people/search", summary="Find people by a part of their name")
async def find_people(app_state: SharedState, caller: Caller, sought: NameSearch) -> FoundAnswer:
    """Return the people whose name contains the text, in the zones that the caller may use.

    The name is in the body, so that it is in no log of a proxy.
    """
    zone = visible_zone(caller, sought.zone)
    found = await app_state.desk_pool.run(
        lambda: app_state.site.people.find(sought.name, zone=zone, shown_to=caller.caller_id)
    )
    return FoundAnswer(items=[_answer(one) for one in found.entries], has_more=found.has_more, unopened=found.unopened)


def _answer(one: PersonEntry) -> PersonConsent:
    return PersonConsent(name=one.name, zone=one.consent.purpose, **asdict(one.consent))


def _invited(one: ListedInvitation) -> InvitedPerson:
    return InvitedPerson(
        name=one.name,
        zone=one.zone,
        state="invited",
        invitation_id=one.invitation_id,
        invited_at=one.invited_at,
        expires_at=one.expires_at,
    )
