"""Pagination with opaque cursors, and entity tags."""

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

from fastapi import Header, Query, Request, Response
from pydantic import BaseModel, Field

from volens.consent import InputError

MAX_LIMIT: Final = 200
_MAX_CURSOR: Final = 200
_MAX_DIGITS: Final = 15

Item = TypeVar("Item")

Limit: TypeAlias = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="maximum number of items")]
Cursor: TypeAlias = Annotated[str | None, Query(description="`next` of the previous page", max_length=_MAX_CURSOR)]
NextCursor: TypeAlias = Annotated[
    str | None,
    Field(description="send this as `cursor` to get the next page; null at the end", examples=["djE6cmVxdWVzdHM6Li4u"]),
]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: NextCursor


def encode_cursor(list_name: str, after: str | int) -> str:
    """Return the cursor for the rest of a list after a position."""
    return base64.urlsafe_b64encode(f"v1:{list_name}:{after}".encode()).decode("ascii").rstrip("=")


def decode_cursor(list_name: str, cursor: str | None) -> str | None:
    """Return the position of a cursor of this list, or None without a cursor.

    Raises:
        InputError: it is not a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        raise _foreign_cursor() from None
    prefix = f"v1:{list_name}:"
    after = text.removeprefix(prefix)
    if not text.startswith(prefix) or not after or encode_cursor(list_name, after) != cursor:
        raise _foreign_cursor()
    return after


def decode_number_cursor(list_name: str, cursor: str | None) -> int | None:
    """Return the position of a cursor whose position is a number; see `decode_cursor`."""
    after = decode_cursor(list_name, cursor)
    if after is not None and not (after.isdecimal() and len(after) <= _MAX_DIGITS):
        raise _foreign_cursor()
    return None if after is None else int(after)


def _foreign_cursor() -> InputError:
    return InputError("this cursor does not belong to this list; start again without a cursor")


def with_etag(
    request: Request,
    data: bytes,
    *,
    media_type: str = "application/json",
    version: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response with its ETag, or 304 if the caller has this version (RFC 9110, 13.1.2).

    The ETag is that of `version` if it is given: what the data says, without the time at which it was written.
    """
    tag = f'"{sha256(data if version is None else version).hexdigest()[:32]}"'
    more = {"ETag": tag, **(headers or {})}
    sent = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    if tag in sent or "*" in sent:
        return Response(status_code=304, headers=more)
    return Response(data, media_type=media_type, headers=more)


NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "not modified"}}
"""The OpenAPI responses of an operation that returns an ETag."""

IfNoneMatch: TypeAlias = Annotated[
    str | None, Header(alias="If-None-Match", description="ETags that the caller has", max_length=1000)
]
