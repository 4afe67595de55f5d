"""Prepared queries on PostgreSQL: a driver connection in a read transaction, and statements compiled once."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, final

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from volens.store.prepared_query import SNAPSHOT, InList, PreparedQuery

_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@final
class PostgresSnapshot:
    """`ReadSnapshot` over a connection of the driver; the caller begins and ends the transaction."""

    __slots__ = ("_connection", "attached")

    def __init__(self, connection: psycopg.Connection[Any], attached: dict[str, Any]) -> None:
        self._connection = connection
        self.attached = attached

    def rows(self, query: PreparedQuery, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return the rows; a list is bound as one array."""
        sql, fixed = compiled(query)
        bound = {name: values.get(name, value) for name, value in fixed.items()}
        missing = [name for name, value in bound.items() if value is None and name not in values]
        if missing:
            raise KeyError(missing[0])
        return self._connection.execute(sql, bound).fetchall()


def keep_snapshots(engine: Engine, attached: dict[str, Any]) -> None:
    """Let `PreparedQuery.rows` accept the connections of an engine; see `StoreEngine.attached`."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: psycopg.Connection[Any], record: Any) -> None:  # noqa: ANN401  untyped in SQLAlchemy
        record.info[SNAPSHOT] = PostgresSnapshot(driver_of(connection), attached)


def driver_of(connection: object) -> psycopg.Connection[Any]:
    """Return the driver's connection below SQLAlchemy's."""
    found = getattr(connection, "driver_connection", connection)
    if not isinstance(found, psycopg.Connection):
        raise TypeError("this database is not opened through psycopg")
    return found


@cache
def compiled(query: PreparedQuery) -> tuple[bytes, dict[str, Any]]:
    """Return the SQL, and its parameters with the values of those that SQLAlchemy has set itself."""
    found = query.query.compile(dialect=_DIALECT)
    return str(found).encode(), dict(found.params)


@compiles(InList, "postgresql")
def _in_list(element: InList, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  SQLAlchemy's signature
    column = compiler.process(element.column, **options)
    return f"{column} = ANY({compiler.process(element.values, **options)})"
