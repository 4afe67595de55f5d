"""Prepared queries: compiled once for each SQL dialect, then run by the driver without SQLAlchemy's overhead.

A door runs these for every face. The SQL is SQLAlchemy's, from the same expressions as every other query, and values
are bound. What is saved is compiling, the conversion of values by column type, named rows and the events of a
connection: 110 of 120 microseconds with SQLite (measured).
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol, Self, final

from sqlalchemy import BindParameter, Boolean, ColumnElement, Connection, Select, bindparam

SNAPSHOT: Final = "volens_snapshot"
"""Key in `Connection.info` under which an engine keeps the `ReadSnapshot` of each of its connections."""


class ReadSnapshot(Protocol):
    """A connection inside a read transaction, for prepared queries only."""

    @property
    def attached(self) -> dict[str, Any]:
        """What code above the engine keeps with all its connections; see `StoreEngine.attached`."""
        ...

    def rows(self, query: "PreparedQuery", values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return the rows of a query; KeyError if a parameter has no value."""
        ...


@final
class PreparedQuery:
    """A query whose parameters all have names; an engine compiles it when it is run for the first time.

    Values are given and returned as the database stores them: times are text, see
    `volens.store.schema.table_builder.UtcDateTime`.
    """

    def __init__(self, query: Select[*tuple[Any, ...]]) -> None:
        self.query = query

    def rows(self, connection: Connection | ReadSnapshot, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return the rows, as of the connection's snapshot; KeyError if a parameter has no value."""
        snapshot: ReadSnapshot = connection.info[SNAPSHOT] if isinstance(connection, Connection) else connection
        return snapshot.rows(self, values)


def attached(connection: Connection | ReadSnapshot) -> dict[str, Any]:
    """Return what code above the engine keeps with all its connections."""
    snapshot: ReadSnapshot = connection.info[SNAPSHOT] if isinstance(connection, Connection) else connection
    return snapshot.attached


class InList(ColumnElement[bool]):
    """The condition that a column is in the list, of any length, that a `PreparedQuery` is given under a name."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.values: BindParameter[Any] = bindparam(name)

    def self_group(self, against: object = None) -> Self:
        """Return it unchanged: compared with 1, as SQLAlchemy does with booleans, no index would be used."""
        del against
        return self
