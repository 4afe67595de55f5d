"""Request and response bodies: base classes, JSON, size limits, uploads and files. Each member has an example."""

import json
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response, UploadFile
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser

from volens.consent.json_reader import DuplicateMemberError, JsonError, read_json
from volens.face import EncodedImage
from volens.face.image import Decoder
from volens.face.image_formats import NETWORK_FORMATS
from volens.face.pixel_budget import ENROLLMENT_PHOTO

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
TimeText = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", examples=["2026-11-27T08:00:00Z"]),
]
"""A time in a request; `parse_time` reads it. Pydantic's own type takes numbers for times."""

ModelName = Annotated[str, Field(examples=["sface@fb143eea"])]


DUPLICATE_MEMBER: Final = "duplicate member"
"""What FastAPI's error about a JSON body says if a member occurs twice."""


class _JsonRequest(Request):
    """A request whose JSON body is parsed by `read_json`."""

    async def json(self) -> Any:  # noqa: ANN401  whatever the JSON is
        """Return the value of the body, as FastAPI expects it; also its errors."""
        try:
            return read_json(await self.body())
        except DuplicateMemberError:
            raise json.JSONDecodeError(DUPLICATE_MEMBER, "", 0) from None
        except JsonError:
            raise json.JSONDecodeError("not JSON", "", 0) from None


def refuse_get(router: APIRouter, path: str) -> None:
    """Answer 405 to GET at an address that has POST alone.

    Call it before the route of one row, which would take the last word of the address for an id, and answer 422.
    """

    async def refuse(_request: Request) -> Response:
        raise HTTPException(405)

    router.add_route(path, refuse, methods=["GET"], include_in_schema=False)


class JsonRoute(APIRoute):
    """A route that refuses JSON bodies with duplicate members, as every other reader of JSON here does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, which parses the body with `read_json`."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return strict


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


def enrollment_photos(files: Sequence[bytes], decoder: Decoder) -> list[EncodedImage]:
    """Return uploaded photos, not decoded: a desk's credential alone must not make the site decode them."""
    return [
        EncodedImage(data, f"photo {number}", NETWORK_FORMATS, ENROLLMENT_PHOTO, decoder)
        for number, data in enumerate(files, 1)
    ]


async def read_upload(file: UploadFile | None) -> bytes | None:
    """Return the bytes of an uploaded file, whose size the body's limit bounds, or None."""
    return None if file is None else await file.read()
