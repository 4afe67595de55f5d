"""Bodies: how much of which kind is taken in, how it is read, and files that are given out."""

from typing import Any, Final

from fastapi import Response, UploadFile
from starlette.formparsers import MultiPartParser

MAX_FRAME_BYTES: Final = 8 * 2**20
MAX_FORM_BYTES: Final = 64 * 2**20
MAX_JSON_BYTES: Final = 64 * 2**10

EXACTLY_ONE: Final[dict[str, Any]] = {"minProperties": 1, "maxProperties": 1}
"""For the description of a body of which one member is to be given; null is no member."""

ZIPPED: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/zip": {}}}}
"""For the description of operations that answer with `zip_named`."""

_IMAGES: Final = ("image/jpeg", "image/png", "image/webp")


def keep_forms_in_memory() -> None:
    """Let no part of a form be written to a disk, not even to a file without a name: photos are never stored.

    Starlette has no other way to say so than this attribute, whose default is 1 MiB. The body's limit bounds it.
    """
    MultiPartParser.spool_max_size = MAX_FORM_BYTES


def image_body(description: str) -> dict[str, Any]:
    """Return how OpenAPI describes a body that is an image."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "description": description, "content": dict.fromkeys(_IMAGES, schema)}}


def zip_named(name: str, data: bytes) -> Response:
    """Return a zip file for the caller to keep under a name."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return Response(data, media_type="application/zip", headers=headers)


async def whole(file: UploadFile | None) -> bytes | None:
    """Return the bytes of an uploaded file, whose size the body's limit bounds; None where there is none."""
    return None if file is None else await file.read()
