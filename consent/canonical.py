"""Canonical JSON (RFC 8785): reads JSON that must be in its one canonical form."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import rfc8785

from volens.consent.json_reader import read_json

# U+E000 and beyond: RFC 8785 sorts by UTF-16 code units, whose order differs from that of code points there.
_BEYOND: Final = re.compile(rb"[\xee-\xff]")
_SAFE_DIGITS: Final = 15


class _SlowPath(Exception):  # noqa: N818  no error: a number that the fast path cannot write
    """Use `rfc8785`."""


def loads_canonical(payload: bytes) -> Any:  # noqa: ANN401  any JSON value
    """Return the value of canonical JSON.

    Fast path: the standard library writes text, objects, lists and small integers as RFC 8785 says, twenty times as
    fast; anything else goes through `rfc8785`. A door calls this for every person whom it recognises.

    Raises:
        ValueError: the bytes are not JSON, or not in canonical form.
    """
    if not _BEYOND.search(payload):
        try:
            document = _DECODER.decode(payload.decode("utf-8"))
        except _SlowPath:
            pass
        else:
            return _same(document, _ENCODER.encode(document).encode("utf-8"), payload)
    document = read_json(payload)
    return _same(document, rfc8785.dumps(document), payload)


def canonical_sha256(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object in its canonical form, in hexadecimal."""
    return sha256(rfc8785.dumps(dict(document))).hexdigest()


def _same(document: Any, written: bytes, payload: bytes) -> Any:  # noqa: ANN401  as above
    if written != payload:
        raise ValueError("this JSON is not canonical")
    return document


def _small_integer(text: str) -> int:
    if len(text) > _SAFE_DIGITS or not text.removeprefix("-").isdigit():
        raise _SlowPath
    return int(text)


_DECODER: Final = json.JSONDecoder(parse_float=_small_integer, parse_constant=_small_integer, parse_int=_small_integer)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
