"""An expanded catalogue: one that has every rule of the release before, and additions. Pure functions over entries.

An entry is a row of `sqlite_master`: type, name, table and SQL. SQLite writes a column that is added later after the
last column, so the SQL of such a table is ours with text inserted at one place.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Entry: TypeAlias = tuple[str, str, str, str | None]

_ADDABLE: Final = frozenset({"table", "index", "trigger"})
"""Not a view: it could take the place of a table that an older release does not know."""

_COLUMN: Final = r"[a-z][a-z0-9_]* (?:TEXT|INTEGER|BLOB)(?: CHECK \((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))?"
_COLUMNS: Final = re.compile(rf"(?:, {_COLUMN})+|(?:{_COLUMN}, )+")
_FORBIDDEN: Final = re.compile(r"\b(NOT NULL|DEFAULT|GENERATED|REFERENCES|UNIQUE|PRIMARY)\b", re.IGNORECASE)


def plain_entry(kind: str, name: str, table: str, sql: str | None) -> Entry:
    """Return an entry; the SQL of a table without the line breaks that SQLite does not write when it adds a column."""
    return kind, name, table, sql.replace(", \n\t", ", ") if kind == "table" and sql is not None else sql


def extends(found: Iterable[Entry], ours: Iterable[Entry]) -> bool:
    """Return whether a catalogue has each of our entries, and only additions besides.

    A table may have more columns, if each is nullable and without a default, so that our statements work as before.
    """
    there = {(kind, name): (table, sql) for kind, name, table, sql in found}
    for kind, name, table, sql in ours:
        its = there.pop((kind, name), None)
        if its is None or its[0] != table:
            return False
        if its[1] != sql and not (kind == "table" and _has_more_columns(its[1] or "", sql or "")):
            return False
    return all(kind in _ADDABLE for kind, _ in there)


def _has_more_columns(found: str, ours: str) -> bool:
    at = next((at for at, (one, other) in enumerate(zip(found, ours, strict=False)) if one != other), len(ours))
    rest = ours[at:]
    added = found[at : len(found) - len(rest)]
    is_inserted = len(found) > len(ours) and found == ours[:at] + added + rest
    return is_inserted and _COLUMNS.fullmatch(added) is not None and _FORBIDDEN.search(added) is None
