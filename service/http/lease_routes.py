"""Leases for doors that decide without a connection: asked for, renewed, given up. See docs/leases.md.

The holder tells what it holds in a long poll: the answer comes when the lease was revoked, or after some seconds.
"""

import asyncio
import time
from typing import Annotated, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StrictBool

from volens.consent import ModelId, RefusedError, from_b64url, parse_time
from volens.consent.jws import b64url
from volens.identify.lease_delivery import LeasedDecision
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import Id, RequestBody, TimeText

MAX_DECISIONS: Final = 200
"""In one request, which is a valid one of the largest size (`MAX_JSON_BYTES`) then."""

router: Final = APIRouter(tags=["door"], route_class=GuardedRoute)

LONGEST_WAIT_S: Final = 10
_LOOK_EVERY_S: Final = 0.2


class LeaseRequest(RequestBody):
    """A door wants to be able to decide without a connection, from now on or for longer."""

    model: str = Field(description="that the door computes embeddings with", examples=["sface@fb143eea"], max_length=80)
    liveness_model: str | None = Field(
        None,
        description="that the door examines faces with, if it has one: the SHA-256 of what its liveness.json says",
        max_length=80,
    )


class LeaseAnswer(BaseModel):
    """A lease, and what opens it. The holder keeps key and references in memory only, and zeroes them at the end."""

    lease: str = Field(description="signed: a compact JWS of type volens-lease+jws", examples=["eyJ...fQ.c2ln"])
    key: str = Field(
        description="32 bytes in base64url: opens the references of this lease, and nothing else",
        examples=["47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"],
    )
    references: str = Field(description="sealed, in base64url; the lease has their SHA-256", examples=["AQ"])


class HeldLeases(RequestBody):
    """What a door holds: of the leases it was given up to this one, only this one, or none."""

    lease_id: Id
    holds: StrictBool = Field(description="false: the door has dropped it, and all before it", examples=[True])
    wait_s: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S, description="answer after this time at the latest")] = 0


class LeaseState(BaseModel):
    """Whether the door may go on holding the lease."""

    may_hold: bool = Field(description="false: drop it now, say so, and ask for a new one", examples=[True])


@router.post("/leases", summary="Get or renew a lease")
async def ask_lease(app_state: SharedState, caller: Caller, asked: LeaseRequest, response: Response) -> LeaseAnswer:
    """Give the door a lease of its zone. It counts the term from the moment before it asked, on a monotonic clock."""
    site = app_state.site

    def give() -> LeaseAnswer:
        model = site.extractor.model
        if asked.model != model.model_id:
            raise RefusedError(
                f"this door computes embeddings with another model than the service, which has {model.model_id}; give "
                "both the same --pack"
            )
        given = site.give_lease(caller.caller_id, ModelId(asked.model), asked.liveness_model)
        with given.key as key:
            return LeaseAnswer(lease=given.token, key=b64url(bytes(key.buffer)), references=b64url(given.references))

    response.headers["Cache-Control"] = "no-store"
    return await app_state.model_pool.run(give, zone=caller.purpose or "", caller=caller.caller_id)


class LeasedMatch(RequestBody):
    """A person whom the door let in with a lease, during an outage."""

    lease_id: Id
    minute: TimeText = Field(description="when, by the minute")
    who: str = Field(
        description="what the lease calls the person; only the site can read it", max_length=200, examples=["AQ"]
    )


class LeasedMatches(RequestBody):
    """What a door decided while it was not connected, once each."""

    decisions: list[LeasedMatch] = Field(max_length=MAX_DECISIONS)


class Recorded(BaseModel):
    """How many of them counted: the consent is still in force, and the door held that lease."""

    recorded: int = Field(examples=[3])


@router.post("/leases/decisions", summary="Deliver what was decided with a lease")
async def deliver_decisions(app_state: SharedState, caller: Caller, done: LeasedMatches) -> Recorded:
    """Record the visits of an outage. Repeating a delivery changes nothing."""
    site = app_state.site

    def record() -> Recorded:
        decided = [LeasedDecision(one.lease_id, parse_time(one.minute), from_b64url(one.who)) for one in done.decisions]
        return Recorded(recorded=site.record_leased_decisions(caller.caller_id, caller.purpose or "", decided))

    return await app_state.desk_pool.run(record)


@router.post("/leases/acknowledge", summary="Say which lease a door holds, and learn whether it may")
async def acknowledge_lease(app_state: SharedState, caller: Caller, held: HeldLeases) -> LeaseState:
    """Note what the door holds. With `wait_s`, answer as soon as the lease is revoked."""
    leases = app_state.site.programs.leases

    def acknowledge() -> bool:
        return leases.acknowledge(caller.caller_id, held.lease_id, holds=held.holds)

    feed, seen = app_state.site.feed, app_state.site.feed.generation
    may_hold = await app_state.desk_pool.run(acknowledge)
    until = time.monotonic() + held.wait_s
    while may_hold and time.monotonic() < until and not app_state.stopping.is_set():
        await asyncio.sleep(_LOOK_EVERY_S)
        if feed.generation != seen:
            seen = feed.generation
            may_hold = not await app_state.desk_pool.run(lambda: leases.is_revoked(held.lease_id))
    return LeaseState(may_hold=may_hold)
