"""Reading JSON that must be in the one form that RFC 8785 gives it."""

import json
import re
from typing import Any, Final

import rfc8785

# U+E000 and beyond, where the order of UTF-16 code units, by which RFC 8785 sorts, is not that of code points.
_BEYOND: Final = re.compile(rb"[\xee-\xff]")
_SAFE_DIGITS: Final = 15


class _Unusual(Exception):  # noqa: N818  no error: a number that the quick way does not know how to write
    """Take the slow way."""


def loads_canonical(payload: bytes) -> Any:  # noqa: ANN401  whatever the JSON is
    """Return the value of canonical JSON.

    Text, objects, lists and small integers are written by the standard library as RFC 8785 says, twenty times as fast;
    anything else goes through `rfc8785`. At a door this is asked for every person who comes.

    Raises:
        ValueError: it is no JSON, or in another form.
    """
    if not _BEYOND.search(payload):
        try:
            document = _DECODER.decode(payload.decode("utf-8"))
        except _Unusual:
            pass
        else:
            return _same(document, _ENCODER.encode(document).encode("utf-8"), payload)
    document = json.loads(payload)
    return _same(document, rfc8785.dumps(document), payload)


def _same(document: Any, written: bytes, payload: bytes) -> Any:  # noqa: ANN401  as above
    if written != payload:
        raise ValueError("this JSON is not canonical")
    return document


def _unusual(_text: str) -> None:
    raise _Unusual


def _small(text: str) -> int:
    if len(text) > _SAFE_DIGITS:
        raise _Unusual
    return int(text)


_DECODER: Final = json.JSONDecoder(parse_float=_unusual, parse_constant=_unusual, parse_int=_small)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
