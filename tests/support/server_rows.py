"""Direct access to the tables of a site on a PostgreSQL server, past our code; statements are those of SQLite."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from volens.store.postgres import DatabaseUrl
from volens.store.site_databases import read_databases

_SPELLINGS = (
    (re.compile("%"), "%%"),
    (re.compile(r"\?"), "%s"),
    (re.compile(r"zeroblob\((\d+)\)"), r"decode(repeat('00', \1), 'hex')"),
    (re.compile(r"\bx'([0-9a-f]*)'"), r"decode('\1', 'hex')"),
)
_EACH_TABLE = """
DO $$ DECLARE one record; BEGIN
    FOR one IN {query} LOOP EXECUTE format({statement}); END LOOP;
END $$"""
_TABLES = "SELECT c.oid::regclass AS of FROM pg_class c WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'"
_TRIGGERS = (
    "SELECT t.tgrelid::regclass AS of, tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE c.relnamespace = '{schema}'::regnamespace AND NOT tgisinternal"
)


class Rows:
    """A connection that takes statements in the dialect of SQLite."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[object] = ()) -> psycopg.Cursor[Any]:
        for theirs, ours in _SPELLINGS:
            statement = theirs.sub(ours, statement)
        return self._connection.execute(statement.encode(), values)


def is_on_server(path: Path) -> bool:
    """Return whether the databases of a home, of which this would be one, are on a server."""
    return read_databases(path.parent) is not None


@contextmanager
def rows_of(path: Path) -> Iterator[Rows]:
    """Connect to the database that a home has instead of a file; commit at the end."""
    with _connected(path) as (connection, _):
        yield Rows(connection)


@contextmanager
def lawless_rows(path: Path) -> Iterator[Rows]:
    """Connect without triggers and foreign keys, which are restored at the end; a CHECK stays."""
    with _connected(path) as (connection, schema):

        def for_each(query: str, statement: str) -> None:
            connection.execute(_EACH_TABLE.format(query=query.format(schema=schema), statement=statement).encode())

        for_each(_TABLES, "'ALTER TABLE %s DISABLE TRIGGER ALL', one.of")
        yield Rows(connection)
        for_each(_TABLES, "'ALTER TABLE %s ENABLE TRIGGER ALL', one.of")
        for_each(_TRIGGERS, "'ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', one.of, one.tgname")


@contextmanager
def _connected(path: Path) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    databases = read_databases(path.parent)
    assert databases is not None
    url = DatabaseUrl.parse(databases.of_line(path.stem), schema="volens")
    plain = url.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, options=f"-c search_path={url.schema}") as connection:
        yield connection, url.schema
