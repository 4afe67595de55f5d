"""Long lists in pages, and answers that have not changed: opaque cursors, entity tags."""

import base64
import binascii
from hashlib import sha256
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

from fastapi import Header, Query, Request, Response
from pydantic import BaseModel, Field

from volens.consent import InputError

MOST: Final = 200
_MAX_CURSOR: Final = 200
_MAX_DIGITS: Final = 15

Item = TypeVar("Item")

Limit: TypeAlias = Annotated[int, Query(ge=1, le=MOST, description="how many at most")]
Cursor: TypeAlias = Annotated[
    str | None,
    Query(description="`next` of the page before; what is in it is nobody's business", max_length=_MAX_CURSOR),
]


class Page(BaseModel, Generic[Item]):
    """Some of a list."""

    items: list[Item]
    next: str | None = Field(description="ask with this as `cursor` for what follows; none at the end")


def cursor(listed: str, after: str | int) -> str:
    """Return what asks for the rest of a list behind a position."""
    return base64.urlsafe_b64encode(f"v1:{listed}:{after}".encode()).decode("ascii").rstrip("=")


def position(listed: str, shown: str | None) -> str | None:
    """Return the position of a cursor that was given out for this list; None where none is shown.

    Raises:
        InputError: it is none, or of another list.
    """
    if shown is None:
        return None
    try:
        text = base64.urlsafe_b64decode(shown + "=" * (-len(shown) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        raise _foreign_cursor() from None
    begins, after = f"v1:{listed}:", text.removeprefix(f"v1:{listed}:")
    if not text.startswith(begins) or not after or cursor(listed, after) != shown:
        raise _foreign_cursor()
    return after


def number_at(listed: str, shown: str | None) -> int | None:
    """Return the position of a cursor of a list that is numbered; see `position`."""
    after = position(listed, shown)
    if after is not None and not (after.isdecimal() and len(after) <= _MAX_DIGITS):
        raise _foreign_cursor()
    return None if after is None else int(after)


def _foreign_cursor() -> InputError:
    return InputError("got a cursor that was not given out for this list; ask without one, from the beginning")


def tagged(request: Request, data: bytes, media_type: str = "application/json") -> Response:
    """Return an answer with its ETag; nothing but the tag for whoever has it (RFC 9110, 13.1.2)."""
    tag = f'"{sha256(data).hexdigest()[:32]}"'
    sent = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    if tag in sent or "*" in sent:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(data, media_type=media_type, headers={"ETag": tag})


NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "it is as it was"}}
"""For the description of operations that answer with an ETag."""

IfNoneMatch: TypeAlias = Annotated[
    str | None, Header(alias="If-None-Match", description="ETags that the caller has", max_length=1000)
]
