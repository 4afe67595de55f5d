"""Styles and scripts of the pages: files of this folder, served under an address that has their hash."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

FOLDER: Final = Path(__file__).parent / "static"
PREFIX: Final = "/static"
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_HASH_LENGTH: Final = 16

router: Final = APIRouter()


@final
@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served, and packed with gzip; it holds no secret that a compressed size could show (BREACH)."""

    name: str
    media_type: str
    data: bytes = field(repr=False)
    packed: bytes = field(repr=False)

    @property
    def version(self) -> str:
        """The beginning of the SHA-256 of all assets: a script imports others by name, so all change their address."""
        return _version()


@cache
def assets() -> Mapping[str, Asset]:
    """Return all assets by name. They are read once, so a request never reads a path that a caller wrote."""
    files = (one for one in sorted(FOLDER.iterdir()) if one.suffix in _TYPES)
    found = ((one, one.read_bytes()) for one in files)
    return {one.name: Asset(one.name, _TYPES[one.suffix], data, gzip.compress(data, mtime=0)) for one, data in found}


@cache
def _version() -> str:
    digest = sha256()
    for one in assets().values():
        digest.update(sha256(one.data).digest())
    return digest.hexdigest()[:_HASH_LENGTH]


def asset_url(name: str) -> str:
    """Return the address of an asset.

    Raises:
        KeyError: there is no such file; a bug of the template.
    """
    return f"{PREFIX}/{assets()[name].version}/{name}"


@router.get(PREFIX + "/{version}/{name}", include_in_schema=False)
async def read_asset(request: Request, version: str, name: str) -> Response:
    """Return an asset. Its relative imports resolve below the same version."""
    found = assets().get(name)
    if found is None or version != found.version:
        raise HTTPException(404)
    headers = {"Cache-Control": _IMMUTABLE, "ETag": f'"{version}"', "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return Response(found.data, media_type=found.media_type, headers=headers)
    return Response(found.packed, media_type=found.media_type, headers={**headers, "Content-Encoding": "gzip"})
