"""What an auditor looks at without an embedding in sight: the log, whose leaves name nobody, and its proofs."""

import base64
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import RoomsOf
from volens.service.http.pagination import Cursor, cursor, number_at

MOST_LEAVES: Final = 2**53 - 1
"""What JSON holds exactly."""

router: Final = APIRouter(tags=["log"], route_class=GuardedRoute)


class LogAnswer(BaseModel):
    """The audit log held when it was checked just now."""

    size: int = Field(description="leaves")
    root: str = Field(description="RFC 6962 tree head, hexadecimal")
    checkpoints: int = Field(description="signed heads that were checked")
    key: str = Field(description="the verifier's key, as in site.pub")
    kinds: dict[str, int] = Field(description="how many leaves of each kind")


@router.get("/log", summary="Verify the whole audit log")
async def verify_log(app_state: RoomsOf, _caller: Caller) -> LogAnswer:
    """Check every leaf, every node and every signature of the log."""
    report = await app_state.desk.do(app_state.site.log.verify)
    return LogAnswer(
        size=report.size,
        root=report.root.hex(),
        checkpoints=report.checkpoints,
        key=app_state.site.verifier_key.line(),
        kinds=dict(report.kinds),
    )


class Entries(BaseModel):
    """Some leaves of the log."""

    entries: list[str] = Field(description="leaves, base64")
    start: int = Field(description="which leaf the first of them is, from 0")
    next: str | None = Field(description="ask with this as `cursor` for what follows; none at the end")


class Proof(BaseModel):
    """A proof by RFC 6962."""

    hashes: list[str] = Field(description="32 bytes each, hexadecimal")


@router.get("/log/checkpoint", summary="The newest signed head", response_class=PlainTextResponse)
async def read_checkpoint(app_state: RoomsOf, _caller: Caller) -> str:
    """Return a C2SP signed note; check it with the key in site.pub."""
    return await app_state.desk.do(app_state.site.log.checkpoint)


@router.get("/log/entries", summary="Leaves")
async def read_entries(
    app_state: RoomsOf,
    _caller: Caller,
    start: Annotated[int, Query(ge=0, le=MOST_LEAVES)] = 0,
    count: Annotated[int, Query(ge=1, le=1000)] = 100,
    shown: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Entries:
    """Return some leaves; each is a salted commitment, and says nothing of whom it is about."""
    first = number_at("entries", shown) or start
    leaves = await app_state.desk.do(lambda: app_state.site.log.entries(first, count))
    said = [base64.b64encode(leaf).decode("ascii") for leaf in leaves]
    following = cursor("entries", first + len(leaves)) if len(leaves) == count else None
    return Entries(entries=said, start=first, next=following)


@router.get("/log/inclusion", summary="That a leaf is in the log")
async def prove_inclusion(app_state: RoomsOf, _caller: Caller, index: int, size: int) -> Proof:
    """Prove that leaf `index` is among the first `size`."""
    return Proof(
        hashes=[one.hex() for one in await app_state.desk.do(lambda: app_state.site.log.inclusion(index, size))]
    )


@router.get("/log/consistency", summary="That the log only grew")
async def prove_consistency(app_state: RoomsOf, _caller: Caller, old_size: int, size: int) -> Proof:
    """Prove that the first `old_size` leaves are the same in a log of `size`."""
    hashes = await app_state.desk.do(lambda: app_state.site.log.consistency(old_size, size))
    return Proof(hashes=[one.hex() for one in hashes])
