"""The audit log and its proofs, for auditors. A leaf names no person."""

import base64
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from volens.service.http.access import GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import EXAMPLE_SHA256
from volens.service.http.pagination import (
    Cursor,
    NextCursor,
    decode_number_cursor,
    encode_cursor,
)

MAX_START: Final = 2**53 - 1
"""The largest integer that JSON represents exactly."""

router: Final = APIRouter(tags=["log"], route_class=GuardedRoute)


class ShardAnswer(BaseModel):
    """A shard of the log: the visits of one zone in one month."""

    name: str = Field(description="place, month, and the leaf of the main log", examples=["visits/lobby/2026-11/17"])
    size: int = Field(description="number of leaves", examples=[17])
    root: str = Field(description="RFC 6962 tree head, hexadecimal", examples=[EXAMPLE_SHA256])
    is_closed: bool = Field(description="the main log states its final size and root", examples=[True])
    kinds: dict[str, int] = Field(description="number of leaves of each kind", examples=[{"door.matched": 17}])


class LogAnswer(BaseModel):
    """The result of verifying the audit log now."""

    size: int = Field(description="number of leaves", examples=[17])
    root: str = Field(description="RFC 6962 tree head, hexadecimal", examples=[EXAMPLE_SHA256])
    checkpoints: int = Field(description="number of signed tree heads that were verified", examples=[9])
    key: str = Field(description="the first line of site.pub", examples=["volens/4f2a+1b2c3d4e+AbC..."])
    successions: list[str] = Field(description="further lines of site.pub, which introduce later keys", examples=[[]])
    kinds: dict[str, int] = Field(description="number of leaves of each kind", examples=[{"site.created": 1}])
    shards: list[ShardAnswer] = Field(description="the shards that are there; each was verified")
    shards_ended: int = Field(description="number of shards that ended and were deleted", examples=[3])
    shards_lost: int = Field(description="number of shards that a restore could not put back", examples=[0])


class LogEntries(BaseModel):
    """Some leaves of the log."""

    entries: list[str] = Field(description="leaves, base64", examples=[["eyJhdCI6Li4ufQ=="]])
    start: int = Field(description="index of the first of these leaves, from 0", examples=[0])
    next: NextCursor


class Proof(BaseModel):
    """A proof by RFC 6962."""

    hashes: list[str] = Field(description="32 bytes each, hexadecimal", examples=[[EXAMPLE_SHA256]])


@router.get("/log", summary="Verify the whole audit log")
async def verify_log(app_state: SharedState) -> LogAnswer:
    """Verify every leaf, every node and every signature of the log and of its shards."""
    report = await app_state.desk_pool.run(app_state.site.log.verify)
    key = await app_state.desk_pool.run(lambda: app_state.site.verifier_key)
    return LogAnswer(
        size=report.size,
        root=report.root.hex(),
        checkpoints=report.checkpoints,
        key=key.line(),
        successions=[one.token for one in key.successions],
        kinds=dict(report.kinds),
        shards=[
            ShardAnswer(
                name=one.name, size=one.size, root=one.root.hex(), is_closed=one.is_closed, kinds=dict(one.kinds)
            )
            for one in report.shards.shards
        ],
        shards_ended=report.shards.ended,
        shards_lost=report.shards.lost,
    )


@router.get("/log/now/checkpoint", summary="The newest checkpoint", response_class=PlainTextResponse)
async def read_checkpoint(app_state: SharedState) -> str:
    """Return a C2SP signed note; verify it with the key in site.pub."""
    return await app_state.desk_pool.run(app_state.site.log.checkpoint)


@router.get("/log/entries", summary="Leaves of the audit log")
async def read_entries(
    app_state: SharedState,
    start: Annotated[int, Query(ge=0, le=MAX_START)] = 0,
    count: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> LogEntries:
    """Return some leaves; each is a salted commitment, and does not show whom it is about."""
    first = decode_number_cursor("entries", cursor) or start
    leaves = await app_state.desk_pool.run(lambda: app_state.site.log.entries(first, count))
    entries = [base64.b64encode(leaf).decode("ascii") for leaf in leaves]
    following = encode_cursor("entries", first + len(leaves)) if len(leaves) == count else None
    return LogEntries(entries=entries, start=first, next=following)


@router.get("/log/now/inclusion", summary="Inclusion proof of a leaf")
async def prove_inclusion(app_state: SharedState, index: int, size: int) -> Proof:
    """Prove that leaf `index` is among the first `size` leaves."""
    hashes = await app_state.desk_pool.run(lambda: app_state.site.log.inclusion(index, size))
    return Proof(hashes=[one.hex() for one in hashes])


@router.get("/log/now/consistency", summary="Consistency proof: the log was only appended to")
async def prove_consistency(app_state: SharedState, old_size: int, size: int) -> Proof:
    """Prove that the first `old_size` leaves are the same in a log of `size` leaves."""
    hashes = await app_state.desk_pool.run(lambda: app_state.site.log.consistency(old_size, size))
    return Proof(hashes=[one.hex() for one in hashes])
