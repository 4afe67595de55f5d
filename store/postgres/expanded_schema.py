"""An expanded schema: one that has every definition of the release before, and additions. Pure functions over entries.

An entry is a definition as `postgres_catalogue` describes it: its kind, its name, and what the server says of it.
"""

import re
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

Entry: TypeAlias = tuple[str, str, str]

_RELATIONS: Final = frozenset({"r f f f f", "i f f f f", "S f f f f"})
"""A table, an index and a sequence. Not a view: it could take the place of a table that an older release does not know.
None is part of another table, has rules that rewrite statements, or is left out of the write-ahead log."""
_NULLABLE: Final = re.compile(r"\d+ (?:text|bigint|bytea) f  (?: C)?")
"""A column that may be null, and that is neither generated nor has a default."""
_ANYWHERE: Final = frozenset({"index", "function", "trigger"})


def extends(found: AbstractSet[Entry], ours: AbstractSet[Entry]) -> bool:
    """Return whether a schema has each of our definitions, and only additions besides.

    A table may have more columns and checks of them, if each column is nullable and without a default, so that our
    statements work as before.
    """
    tables = {name for kind, name, _ in ours if kind == "relation"}
    return ours <= found and all(_is_addition(one, tables) for one in found - ours)


def _is_addition(entry: Entry, tables: AbstractSet[str]) -> bool:
    kind, name, what = entry
    if kind in _ANYWHERE:
        return True
    if kind == "relation":
        return what in _RELATIONS
    is_new = name.partition(".")[0] not in tables
    if kind == "column":
        return is_new or _NULLABLE.fullmatch(what) is not None
    return kind == "constraint" and (is_new or what.startswith("CHECK "))
