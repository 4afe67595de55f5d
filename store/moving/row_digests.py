"""Counts and digests of all rows of a database, the same on every engine."""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Connection, MetaData

from volens.consent import format_time
from volens.store.row_copy import row_batches


class TableDigest(NamedTuple):
    """How many rows a table has, and the SHA-256 of them, in the order of the primary key, in hex."""

    rows: int
    sha256: str


def table_digests(
    connection: Connection, metadata: MetaData, advance: Callable[[int], None]
) -> Mapping[str, TableDigest]:
    """Return the digest of each table by its name. Cost: reads everything. `advance` gets how many rows were added."""
    found = {}
    for table in metadata.sorted_tables:
        digest, count = sha256(), 0
        for batch in row_batches(connection, table):
            for row in batch:
                digest.update(b"".join(map(_encoded, row)))
            count += len(batch)
            advance(len(batch))
        found[table.name] = TableDigest(count, digest.hexdigest())
    return found


def _encoded(value: Any) -> bytes:  # noqa: ANN401  whatever the column has
    """Return type, length and bytes of a value, so that no two rows have the same encoding."""
    match value:
        case None:
            return b"n"
        case int():
            kind, data = b"i", str(int(value)).encode("ascii")
        case str():
            kind, data = b"t", value.encode("utf-8")
        case datetime():
            kind, data = b"d", format_time(value).encode("ascii")
        case bytes() | memoryview():
            kind, data = b"b", bytes(value)
        case _:
            raise TypeError(f"got a value of type {type(value).__name__} in a table; expected a number, text or bytes")
    return kind + len(data).to_bytes(8) + data
