"""Prepared queries on SQLite: a driver connection in a read transaction, and statements compiled once."""

import json
import sqlite3
from collections.abc import Mapping
from functools import cache
from typing import Any, final

from sqlalchemy import Engine, event
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from volens.store.prepared_query import SNAPSHOT, InList, PreparedQuery


@final
class SqliteSnapshot:
    """`ReadSnapshot` over a connection of the driver; the caller begins and ends the transaction."""

    __slots__ = ("_connection", "attached")

    def __init__(self, connection: sqlite3.Connection, attached: dict[str, Any]) -> None:
        self._connection = connection
        self.attached = attached

    def rows(self, query: PreparedQuery, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return the rows; a list is bound as one JSON text."""
        sql, names, fixed = _compiled(query)
        bound = [values[name] if name in values else fixed[name] for name in names]
        return self._connection.execute(
            sql, [json.dumps(value) if isinstance(value, list) else value for value in bound]
        ).fetchall()


def keep_snapshots(engine: Engine, attached: dict[str, Any]) -> None:
    """Let `PreparedQuery.rows` accept the connections of an engine; see `StoreEngine.attached`."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, record: Any) -> None:  # noqa: ANN401  untyped in SQLAlchemy
        record.info[SNAPSHOT] = SqliteSnapshot(connection, attached)


@cache
def value_statement(query: PreparedQuery) -> str:
    """Return one statement for the value of a query without parameters, and the version of the schema that it obeyed.

    A single statement sees one snapshot, so no transaction needs to be begun and ended.
    """
    return f"SELECT ({_compiled(query)[0]}), schema_version FROM pragma_schema_version"  # noqa: S608  SQL of our own


@cache
def _compiled(query: PreparedQuery) -> tuple[str, list[str], dict[str, Any]]:
    """Return the SQL, its parameters in order, and the values of those that SQLAlchemy has set itself."""
    compiled = query.query.compile(dialect=dialect(paramstyle="qmark"))
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled), list(compiled.positiontup or ()), fixed


@compiles(InList, "sqlite")
def _in_list(element: InList, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  SQLAlchemy's signature
    column = compiler.process(element.column, **options)
    return f"{column} IN (SELECT value FROM json_each({compiler.process(element.values, **options)}))"  # noqa: S608  SQL of our own
