"""Settings for every database connection of this process, set when the connection is taken from its pool."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.pool import Pool

from volens.store.postgres import postgres_engine
from volens.store.sqlite.sqlite_connections import BUSY_TIMEOUT_S


@contextmanager
def pragmas(*statements: str) -> Iterator[None]:
    """Run PRAGMA statements of SQLite before each use of a connection, also of one that is open already.

    They come after those of the product, which sets its own once, when it makes a connection.
    """

    def on_checkout(connection: object, _record: object, _proxy: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            _run(connection, statements)

    event.listen(Pool, "checkout", on_checkout)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", on_checkout)


@contextmanager
def lock_timeout(seconds: float) -> Iterator[None]:
    """Wait this long for a lock, in tests where the other process does not release it.

    Put only the refused part into it: on a busy machine, other threads hold a lock for longer than that.
    """

    def on_checkin(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            _run(connection, [f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}"])

    event.listen(Pool, "checkin", on_checkin)
    patience, postgres_engine.LOCK_TIMEOUT_S = postgres_engine.LOCK_TIMEOUT_S, seconds  # type: ignore[misc]
    try:
        with pragmas(f"PRAGMA busy_timeout = {round(seconds * 1000)}"):
            yield
    finally:
        event.remove(Pool, "checkin", on_checkin)
        postgres_engine.LOCK_TIMEOUT_S = patience  # type: ignore[misc]


def _run(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement).close()
