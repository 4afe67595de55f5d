"""Direct access to a database past our code, with the rules removed and restored: plain sqlite3, or psycopg.

`path` names the file. If the databases of its home are on a server, `lawless`, `tamper` and `peek` use the one there.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from server_rows import Rows, is_on_server, lawless_rows, rows_of
from sqlalchemy import Connection, create_engine, select, update
from sqlalchemy.pool import NullPool

from volens.store import Store
from volens.store.schema import Scope, scoped_tables
from volens.store.schema.data_tables import last_interaction

DATA = "volens.db"
KEYRING = "keyring.db"


@contextmanager
def lawless(path: Path) -> Iterator[sqlite3.Connection | Rows]:
    """Yield a connection without triggers and foreign keys, and in a file without checks; restore them afterwards."""
    if is_on_server(path):
        with lawless_rows(path) as rows:
            yield rows
        return
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("BEGIN IMMEDIATE")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _sql in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _name, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")


def tamper(path: Path, statement: str, *values: object) -> int:
    """Run one statement past all rules; return how many rows it changed, at least one."""
    with lawless(path) as connection:
        changed = connection.execute(statement, values).rowcount
        assert changed > 0, "the test changed nothing"
    return changed


def drop_triggers(path: Path, *names: str) -> None:
    """Drop triggers permanently."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in names:
            connection.execute(f"DROP TRIGGER {name}")


def change_schema(path: Path, table: str, old: str, new: str) -> None:
    """Change a table's definition in place, as ``PRAGMA writable_schema`` allows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        (sql,) = one(connection, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", table)
        assert old in sql
        connection.execute(
            "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (sql.replace(old, new), table)
        )
        connection.execute("PRAGMA writable_schema = RESET")


def remove_foreign_keys(path: Path, name: str = "%") -> None:
    """Remove the foreign keys from the definition of one table, or of all tables."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name LIKE ?", (name,))
        for table, sql in tables.fetchall():
            without = re.sub(r",\s*FOREIGN KEY\([^)]*\) REFERENCES \w+ \([^)]*\)( ON DELETE CASCADE)?", "", sql)
            connection.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (without, table))
        connection.execute("PRAGMA writable_schema = RESET")


@contextmanager
def rolled_back(path: Path) -> Iterator[Connection]:
    """Give a connection that enforces foreign keys and compares no catalogue; what it did is undone."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"isolation_level": None})
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
        connection.exec_driver_sql("ROLLBACK")


def one(connection: sqlite3.Connection | Rows, query: str, *values: object) -> tuple[Any, ...]:
    """Return the only row."""
    (row,) = connection.execute(query, values).fetchall()
    return tuple(row)


def contents(path: Path) -> list[str]:
    """Return the content of all tables, as statements."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def peek(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read past our code."""
    if is_on_server(path):
        with rows_of(path) as rows:
            return [tuple(row) for row in rows.execute(query, values).fetchall()]
    with closing(sqlite3.connect(path)) as connection:
        return [tuple(row) for row in connection.execute(query, values)]


def seal_again(store: Store) -> None:
    """Seal all rows as they are now, as only the holder of the keyring can: for tests of what is behind the seals."""
    with store.write() as tx:
        size = tx.log("test.sealed_again", {})[0] + 1
        for scope in Scope:
            anchor = scoped_tables(scope)[0]
            column = next(iter(anchor.table.primary_key)) if anchor.key is None else anchor.table.c[anchor.key]
            store.seals.write(tx.connection, scope, list(tx.connection.scalars(select(column))), size)
        for row in tx.connection.execute(select(last_interaction)).all():
            visited = update(last_interaction).where(last_interaction.c.receipt_id == row.receipt_id)
            tx.connection.execute(visited.values(tx.interaction(row.receipt_id, row.interacted_at)))
