"""Bodies: how much of which kind is taken in, and how it is read."""

from typing import Any, Final

from fastapi import UploadFile

MAX_FRAME_BYTES: Final = 8 * 2**20
MAX_FORM_BYTES: Final = 64 * 2**20
MAX_JSON_BYTES: Final = 64 * 2**10

_IMAGES: Final = ("image/jpeg", "image/png", "image/webp")


def image_body(description: str) -> dict[str, Any]:
    """Return how OpenAPI describes a body that is an image."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "description": description, "content": dict.fromkeys(_IMAGES, schema)}}


async def whole(file: UploadFile | None) -> bytes | None:
    """Return the bytes of an uploaded file, whose size the body's limit bounds; None where there is none."""
    return None if file is None else await file.read()
