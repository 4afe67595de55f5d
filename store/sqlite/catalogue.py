"""The catalogue of a database file (`sqlite_master`), compared with the schema that this version declares.

A program that can write the file can drop, rewrite or plant triggers, change a CHECK, or replace a table by a view.
None of that changes a row. The expected catalogue is not listed here: it is made from the declarations in
`volens.store.schema`, in a database in memory, once in a process. During a rollout, it is the one that was announced or
pinned (`volens.store.rollout`).
"""

import sqlite3
from collections.abc import Iterable, MutableMapping
from functools import cache
from typing import Any, Final, final

from sqlalchemy import Table
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from volens.consent import TamperError
from volens.store.catalogue_difference import catalogue_digest, describe_difference, is_expected
from volens.store.engine import SchemaRollout
from volens.store.schema.schema_lines import METADATA
from volens.store.signpost import NAME, QUERY, Signpost, SiteMovedError
from volens.store.sqlite.expanded_catalogue import Entry, extends, plain_entry
from volens.store.sqlite.triggers import triggers_of

_REVISION_TABLE: Final = "CREATE TABLE alembic_version (\n\tversion_num TEXT NOT NULL PRIMARY KEY\n) STRICT"
"""Where Alembic writes the revision. Declared here, so that comparing does not import Alembic, which costs 0.2 s."""

_ENTRIES: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master"
_HEADER: Final = ("user_version", "application_id", "encoding")
"""Fields of the file's header that any program can set. An erasure searches for text as UTF-8 (`encoding`)."""

_ADVICE: Final = "another program changed it; restore it from a backup"
_CHECKED: Final = "volens_schema_version"
_Header = dict[str, object]


def table_statements(line: str) -> list[str]:
    """Return the statements that make the tables and indexes of a new file; `line` is data or keyring."""
    tables = METADATA[line].sorted_tables
    made = [CreateTable(table) for table in tables], [CreateIndex(index) for table in tables for index in table.indexes]
    compiled = [str(one.compile(dialect=dialect())) for kind in made for one in kind]
    return [_REVISION_TABLE, *compiled]


def trigger_statements(line: str) -> list[str]:
    """Return the statements that make the triggers of a new file."""
    return triggers_of(line)


@final
class CatalogueCheck:
    """Compares the catalogue of a file, once for each connection, and again after its schema was changed.

    SQLite compiles the schema once for each connection, and again when `PRAGMA schema_version` has changed. So the
    rules that a connection obeys are those that were compared on it.

    Attributes:
        on_connect: check new connections at once, before another statement compiles the schema. Not while a file is
            created or upgraded.
        rollout: says which expanded catalogues are good too; None for none.
    """

    def __init__(self, name: str, line: str, rollout: SchemaRollout | None = None) -> None:
        """Check the file that errors call `name`; `line` is data or keyring."""
        self._name = name
        self._line = line
        self.rollout = rollout
        self.on_connect = False

    def is_checked(self, version: int, info: MutableMapping[Any, Any]) -> bool:
        """Return whether the schema of this version was compared on the connection of this dictionary."""
        return bool(info.get(_CHECKED) == version)

    def check(self, connection: sqlite3.Connection, info: MutableMapping[Any, Any]) -> None:
        """Check inside a transaction that was just begun; `info` is the pool's dictionary of this connection.

        Cost: 2 microseconds, and 0.3 ms for a new connection or a changed schema, besides the compilation by SQLite.

        Raises:
            TamperError: the schema is not that of this version.

        Not checked: rows, and whether the content of an index is that of its table; see `SqliteEngine.sound`.
        """
        ((version,),) = connection.execute("PRAGMA schema_version").fetchall()
        if self.is_checked(version, info):
            return
        # Compile the schema again, in this snapshot: a program may rewrite it between two transactions, and put the
        # former text and version back, while the connection keeps what it compiled in between.
        connection.execute("PRAGMA writable_schema = RESET").close()
        check_catalogue(connection, self._name, self._line, self.rollout)
        info[_CHECKED] = version


def check_catalogue(connection: sqlite3.Connection, name: str, line: str, rollout: SchemaRollout | None = None) -> None:
    """Check tables, indexes, triggers, views and header of a file; `name` is what errors call it.

    Raises:
        SiteMovedError: there is a signpost.
        TamperError: one is missing, additional or different. The message names the first, in alphabetical order.
        UnavailableError: a newer release has upgraded the file while this process had it open.
    """
    entries, header = _declared(line, tuple(METADATA[line].tables.values()))
    found = frozenset(_entries(connection))
    if ("table", NAME) in {one[:2] for one in found}:
        raise SiteMovedError(Signpost(*connection.execute(QUERY).fetchone()))
    if found != entries and not (rollout is not None and _is_expanded(connection, found, entries, name, rollout)):
        raise TamperError(f"integrity: {name} {describe_difference(found, entries)}; {_ADVICE}")
    for field, value in _header(connection).items():
        if value != header[field]:
            raise TamperError(
                f"integrity: {name} has {field} {value!r} in its header, expected {header[field]!r}; {_ADVICE}"
            )


@cache
def _declared(line: str, tables: tuple[Table, ...]) -> tuple[frozenset[Entry], _Header]:
    """Return entries and header of a new file with these tables, as SQLite writes them."""
    del tables  # only part of the key: they are those of `line`, and a test may declare one more
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statement in [*table_statements(line), *trigger_statements(line)]:
            connection.execute(statement).close()
        return frozenset(_entries(connection)), _header(connection)
    finally:
        connection.close()


def digest_of(connection: sqlite3.Connection) -> bytes:
    """Return the SHA-256 of the catalogue of a file, as a rollout announces it."""
    return catalogue_digest(_entries(connection))


def _is_expanded(
    connection: sqlite3.Connection,
    found: frozenset[Entry],
    ours: frozenset[Entry],
    name: str,
    rollout: SchemaRollout,
) -> bool:
    """Return whether a rollout expects what was found; raises as `check_catalogue` if a newer release is here."""
    if not any(one in found for one in ours if one[:2] == ("table", "alembic_version")):
        return False
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision = "" if row is None else str(row[0])
    return is_expected(found, revision, rollout, lambda: extends(found, ours), engine="sqlite", name=name)


def _entries(connection: sqlite3.Connection) -> Iterable[Entry]:
    return (plain_entry(*row) for row in connection.execute(_ENTRIES).fetchall())


def _header(connection: sqlite3.Connection) -> _Header:
    return {field: connection.execute(f"PRAGMA {field}").fetchone()[0] for field in _HEADER}
