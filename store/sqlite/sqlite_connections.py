"""Connections to an SQLite file: their pragmas, how they begin a transaction, and how long they wait for a lock."""

import sqlite3
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from volens.consent import TamperError
from volens.store.sqlite.catalogue import CatalogueCheck
from volens.store.sqlite.sqlite_snapshot import keep_snapshots

BUSY_TIMEOUT_S: Final = 5.0
NO_WAIT_S: Final = 0.02
WRITE: Final = "volens_write"
NO_WAIT: Final = "volens_no_wait"
_PRAGMAS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a withdrawal that was confirmed must survive a power cut
    "PRAGMA temp_store = MEMORY",  # nothing sealed or unsealed in temporary files
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)


def pooled_engine(path: Path, catalogue: CatalogueCheck, attached: dict[str, Any]) -> Engine:
    """Return a pool of connections to a file; each begins with the pragmas, after its schema was compared."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=4,
        hide_parameters=True,  # an error message must not have what was written
        # isolation_level None: sqlite3 begins no transaction by itself, `_on_begin` does.
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None},
    )
    keep_snapshots(engine, attached)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, record: Any) -> None:  # noqa: ANN401  untyped in SQLAlchemy
        try:
            _prepare(connection, catalogue, record.info)
        except BaseException:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        begin = "BEGIN IMMEDIATE" if options.get(WRITE, False) else "BEGIN"
        if not options.get(NO_WAIT, False):
            connection.exec_driver_sql(begin)
            return
        try:
            _set_busy_timeout(connection, NO_WAIT_S)
            connection.exec_driver_sql(begin)
        finally:
            _set_busy_timeout(connection, BUSY_TIMEOUT_S)

    return engine


def _prepare(connection: sqlite3.Connection, catalogue: CatalogueCheck, info: MutableMapping[Any, Any]) -> None:
    if catalogue.on_connect:
        connection.execute("BEGIN").close()
        catalogue.check(connection, info)
        connection.execute("COMMIT").close()
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()
    if connection.execute("PRAGMA foreign_keys").fetchone() != (1,):
        raise TamperError("integrity: the database does not enforce its foreign keys; nothing may run on it")


def _set_busy_timeout(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
