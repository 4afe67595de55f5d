"""The public audit log: checkpoint, tiles and proofs for anyone, without a credential (C2SP tlog-tiles)."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse

from volens.audit.tiles import TILE_WIDTH
from volens.service.http.access import limit_log_reader
from volens.service.http.app_state import SharedState
from volens.service.http.log_routes import MAX_START, Proof

router: Final = APIRouter(tags=["public log"])

_PLACE: Final = r"^(x[0-9]{3}/){0,5}[0-9]{3}(\.p/[1-9][0-9]{0,2})?$"
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_OCTETS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}

_Size = Annotated[int, Query(ge=0, le=MAX_START, description="number of leaves, at most that of the checkpoint")]


@router.get("/log/checkpoint", summary="The newest checkpoint of the public log", response_class=PlainTextResponse)
async def read_public_checkpoint(request: Request, app_state: SharedState) -> str:
    """Return a C2SP signed note; verify it with the key in site.pub. It is older than the day that has begun (UTC)."""
    limit_log_reader(request, app_state)
    return await app_state.public_log_pool.run(app_state.public_log.checkpoint)


@router.get("/log/site.pub", summary="The site's public keys", response_class=PlainTextResponse)
async def read_public_key(request: Request, app_state: SharedState) -> str:
    """Return `site.pub`. Trust it only if its first line is the one that you have from elsewhere."""
    limit_log_reader(request, app_state)
    return await app_state.public_log_pool.run(lambda: app_state.site.verifier_key.text())  # noqa: PLW0108  reads the keyring, in the pool


@router.get(
    "/log/tile/{level}/{place:path}",
    summary="Hashes of the public log",
    responses=_OCTETS,
    response_class=Response,
)
async def read_public_tile(
    request: Request,
    app_state: SharedState,
    level: Annotated[int, Path(ge=0, le=63, description="0: hashes of leaves; each level spans 256 of the one below")],
    place: Annotated[
        str, Path(pattern=_PLACE, max_length=40, description="x001/x234/067, or 067.p/5 for a partial tile of 5")
    ],
) -> Response:
    """Return a tile of 256 hashes (of 32 bytes), or a partial one. Leaves themselves are not published."""
    limit_log_reader(request, app_state)
    index, _, width = place.partition(".p/")
    number, wide = int(re.sub(r"[x/]", "", index)), int(width or TILE_WIDTH)
    data = await app_state.public_log_pool.run(lambda: app_state.public_log.tile(level, number, wide))
    return Response(data, media_type="application/octet-stream", headers={"Cache-Control": _IMMUTABLE})


@router.get("/log/inclusion", summary="Inclusion proof in the public log")
async def prove_public_inclusion(
    request: Request,
    app_state: SharedState,
    index: Annotated[int, Query(ge=0, le=MAX_START, description="of the leaf, from 0, as a certificate states it")],
    size: _Size,
) -> Proof:
    """Prove that leaf `index` is among the first `size` leaves. The request shows which leaf matters; tiles do not."""
    limit_log_reader(request, app_state)
    hashes = await app_state.public_log_pool.run(lambda: app_state.public_log.inclusion(index, size))
    return Proof(hashes=[one.hex() for one in hashes])


@router.get("/log/consistency", summary="Consistency proof: the public log was only appended to")
async def prove_public_consistency(request: Request, app_state: SharedState, old_size: _Size, size: _Size) -> Proof:
    """Prove that the first `old_size` leaves are the same in a log of `size` leaves."""
    limit_log_reader(request, app_state)
    hashes = await app_state.public_log_pool.run(lambda: app_state.public_log.consistency(old_size, size))
    return Proof(hashes=[one.hex() for one in hashes])
