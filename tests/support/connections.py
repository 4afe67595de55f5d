"""SQLite settings for every database connection of this process, set when the connection is taken from its pool."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.pool import Pool


@contextmanager
def pragmas(*statements: str) -> Iterator[None]:
    """Run PRAGMA statements before each use of a connection, also of one that is open already.

    They come after those of the product, which sets its own once, when it makes a connection.
    """

    def on_checkout(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
        for statement in statements:
            connection.execute(statement).close()

    event.listen(Pool, "checkout", on_checkout)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", on_checkout)


@contextmanager
def lock_timeout(seconds: float) -> Iterator[None]:
    """Wait this long for a lock, in tests where the other process does not release it."""
    with pragmas(f"PRAGMA busy_timeout = {round(seconds * 1000)}"):
        yield
