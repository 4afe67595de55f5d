"""SQL statements that SQLAlchemy compiles once for all engines of a process, instead of once for each engine.

Nearly every test opens a site of its own, with two new engines, and would compile the same statements again: a third of
the processor time of such a test (measured). A service opens one site, and has no use for this.
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from volens.store.sqlite import database

_COMPILED: dict[Any, Any] = {}


def share_compiled_statements() -> None:
    """Let all engines that are made from now on use one cache of compiled statements."""
    create_engine = database.create_engine

    def create_sharing(*arguments: Any, **options: Any) -> Engine:  # noqa: ANN401  as SQLAlchemy takes them
        return create_engine(*arguments, **options, execution_options={"compiled_cache": _COMPILED})

    database.create_engine = create_sharing
    # The dialect is a part of the key. Those of our engines differ in nothing.
    SQLiteDialect_pysqlite.__eq__ = _is_same  # type: ignore[method-assign]
    SQLiteDialect_pysqlite.__hash__ = _hash  # type: ignore[method-assign]


def _is_same(one: object, other: object) -> bool:
    return type(one) is type(other)


def _hash(one: object) -> int:
    return hash(type(one))
