"""The MAC of a set of rows: HMAC-SHA256 over a canonical encoding of all of them. Pure: no SQL, no clock, no keyring.

The encoding is a JSON array: version, scope, scope id, generation, and for each table, in the order in which the scope
declares them, its name and its rows. A row is the list of its values in column order; rows are sorted by their own
encoding. Bytes are a list with one string of hexadecimal digits, and a text of more than 512 characters, such as a
receipt, is an object with its SHA-256: no text or number is either. So two different sets of rows never have the same
encoding.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias, final

Row: TypeAlias = Sequence[Any]
"""The values of a row as the database stores them: None, int, str or bytes."""

MAC_BYTES: Final = 32
_VERSION: Final = 1
_LONG: Final = 512


@final
class _RowEncoder(json.JSONEncoder):
    def default(self, o: object) -> list[str]:
        if isinstance(o, bytes):
            return [o.hex()]
        raise TypeError(f"got a value of type {type(o).__name__}; expected None, int, str or bytes")


_encode: Final = _RowEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode


def rows_mac(key: bytearray, scope: str, scope_id: str, generation: int, tables: Mapping[str, Sequence[Row]]) -> bytes:
    """Return the MAC of the rows of a scope: 32 bytes.

    Args:
        key: 32 bytes; read, never kept.
        scope: the kind of the set of rows.
        scope_id: its id, unique within the kind.
        generation: a number that grows with every change, so that the MAC of older rows is another one.
        tables: the rows of each table, by its name; a table without rows counts too.

    Cost: 10 us for a consent.
    """
    ordered = [[name, *_in_order(rows)] for name, rows in tables.items()]
    message = _encode([_VERSION, scope, scope_id, generation, ordered])
    return hmac.digest(key, message.encode("ascii"), "sha256")


def _in_order(rows: Sequence[Row]) -> list[list[Any]]:
    shortened = [
        [
            value if type(value) is not str or len(value) <= _LONG else {"sha256": sha256(value.encode()).hexdigest()}
            for value in row
        ]
        for row in rows
    ]
    return shortened if len(shortened) < 2 else sorted(shortened, key=_encode)  # noqa: PLR2004
