"""Request and response bodies: base classes, size limits, uploads and files. An example stands with each member."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Path, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.formparsers import MultiPartParser

MAX_FRAME_BYTES: Final = 8 * 2**20
MAX_FORM_BYTES: Final = 64 * 2**20
MAX_JSON_BYTES: Final = 64 * 2**10

EXACTLY_ONE: Final[dict[str, Any]] = {"minProperties": 1, "maxProperties": 1}
"""JSON schema of a body that must have exactly one member; a member that is null counts as absent."""

ZIP_RESPONSE: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/zip": {}}}}
"""The OpenAPI responses of an operation that returns `zip_response`."""

EXAMPLE_ID: Final = "0f6a2c9d4e1b48f7a3d5c6b7e8f90a1b"
EXAMPLE_SUBJECT: Final = "Jv3Z0m6xk2n8Qw1LrT5yB7cD9eF4gH0iKpNqRsUuVwX"
EXAMPLE_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

IdInPath = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Id = Annotated[str, Field(examples=[EXAMPLE_ID])]
SubjectId = Annotated[str, Field(examples=[EXAMPLE_SUBJECT])]
ZoneName = Annotated[str, Field(examples=["lobby"])]
Time = Annotated[datetime, Field(examples=["2026-11-27T08:00:00Z"])]
ModelName = Annotated[str, Field(examples=["sface@fb143eea"])]


class RequestBody(BaseModel):
    """Base of JSON request bodies: an unknown member is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def keep_forms_in_memory() -> None:
    """Keep all parts of forms in memory, because photos must never reach a disk, not even as an unnamed file.

    Starlette has no setting for this except this attribute, whose default is 1 MiB. The body's limit bounds it.
    """
    MultiPartParser.spool_max_size = MAX_FORM_BYTES


def zip_response(name: str, data: bytes) -> Response:
    """Return a zip file as a download."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return Response(data, media_type="application/zip", headers=headers)


async def read_upload(file: UploadFile | None) -> bytes | None:
    """Return the bytes of an uploaded file, whose size the body's limit bounds, or None."""
    return None if file is None else await file.read()
