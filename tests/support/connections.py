"""Settings for every database connection of this process, set when the connection is taken from its pool.

The listeners are registered once: other threads use connections while a test begins and ends a setting.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.pool import Pool

from volens.store.postgres import postgres_engine
from volens.store.sqlite.sqlite_connections import BUSY_TIMEOUT_S

_on_checkout: tuple[str, ...] = ()
_on_checkin: tuple[str, ...] = ()


@event.listens_for(Pool, "checkout")
def _taken(connection: object, _record: object, _proxy: object) -> None:
    _run(connection, _on_checkout)


@event.listens_for(Pool, "checkin")
def _returned(connection: object, _record: object) -> None:
    _run(connection, _on_checkin)


def _run(connection: object, statements: tuple[str, ...]) -> None:
    if isinstance(connection, sqlite3.Connection):
        for statement in statements:
            connection.execute(statement).close()


@contextmanager
def pragmas(*statements: str) -> Iterator[None]:
    """Run PRAGMA statements of SQLite before each use of a connection, also of one that is open already.

    They come after those of the product, which sets its own once, when it makes a connection.
    """
    global _on_checkout  # noqa: PLW0603  see above
    before, _on_checkout = _on_checkout, (*_on_checkout, *statements)
    try:
        yield
    finally:
        _on_checkout = before


@contextmanager
def lock_timeout(seconds: float) -> Iterator[None]:
    """Wait this long for a lock, in tests where the other process does not release it.

    Put only the refused part into it: on a busy machine, other threads hold a lock for longer than that.
    """
    global _on_checkin  # noqa: PLW0603  see above
    _on_checkin = (f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}",)
    patience, postgres_engine.LOCK_TIMEOUT_S = postgres_engine.LOCK_TIMEOUT_S, seconds  # type: ignore[misc]
    try:
        with pragmas(f"PRAGMA busy_timeout = {round(seconds * 1000)}"):
            yield
    finally:
        postgres_engine.LOCK_TIMEOUT_S = patience  # type: ignore[misc]
