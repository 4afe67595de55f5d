"""JSON reader: the one way in which Volens parses JSON, from every author.

Stricter than the standard library's reader: UTF-8 only (no UTF-16, no byte order mark), no duplicate member, no NaN and
no Infinity. Parsers disagree about which of two members counts, so that a checker and a reader of one signed message
could see different messages (RFC 8259 section 4, RFC 8725 section 2.4).
"""

import json
import math
from typing import Any, Final


class JsonError(ValueError):
    """The text is not JSON. The message is one sentence, and repeats nothing of the text."""


class DuplicateMemberError(JsonError):
    """An object has two members of one name."""


def read_json(data: bytes | str) -> Any:  # noqa: ANN401  whatever the JSON is
    """Return the value of a JSON text: objects as dict, lists, str, int, float, bool, None.

    Raises:
        DuplicateMemberError: an object, at any depth, has two members of one name.
        JsonError: it is not JSON in UTF-8, is nested too deeply, or has a number that is not finite or too long.

    Not checked: the size of `data`, which the caller bounds, and lone surrogates in texts.
    """
    try:
        return _DECODER.decode(data if isinstance(data, str) else data.decode("utf-8"))
    except JsonError:
        raise
    except (ValueError, RecursionError):
        raise JsonError("got a text that is not JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateMemberError("got a JSON object that has one member twice; send each member once")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonError("got a JSON number that is not finite")
    return number


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
