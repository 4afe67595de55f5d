"""Connections to a PostgreSQL database: their settings, and how their transactions begin."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.types.numeric import IntLoader
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, Pool, QueuePool

from volens.store.postgres.database_url import DatabaseUrl
from volens.store.postgres.postgres_errors import is_lost, translated
from volens.store.postgres.postgres_snapshot import driver_of, keep_snapshots

CONNECT_TIMEOUT_S: Final = 5
LOCK_TIMEOUT_S: Final = 5.0
"""How long a statement waits for a lock: that of the one writer, or one that another program has on a table."""
POOL_TIMEOUT_S: Final = 5.0
"""How long a thread waits for a connection while others use all of them."""
READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
BEGIN: Final = "volens_begin"
"""The execution option with the statements that begin a transaction; `READ` if there is none."""
TRANSACTION_ID: Final = "volens_transaction_id"
"""Where the information of a connection has the id of its transaction, if its beginning asked for it."""
SERVER_START: Final = "volens_server_start"
"""Where it has since when its server runs: another server, or one that was restarted, has another value."""
_POOL: Final = "volens_pool"
_LOST_AFTER_MS: Final = 10_000
_DEFAULTS: Final = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "volens",
    # A network that was cut off is an error after this time; the system's own defaults are minutes.
    "tcp_user_timeout": _LOST_AFTER_MS,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


class _Whole(IntLoader):
    """Sums of whole numbers are whole numbers; the tables have no others."""


def pooled_engine(url: DatabaseUrl, attached: dict[str, Any], pool: type[Pool] = QueuePool) -> Engine:
    """Return a pool of connections to a database, whose transactions begin with the statement in `BEGIN`."""
    engine = create_engine(
        url.url,
        poolclass=pool,
        **({"pool_timeout": POOL_TIMEOUT_S} if pool is QueuePool else {}),
        hide_parameters=True,  # an error message must not have what was written
        # autocommit: the driver begins no transaction by itself, `_on_begin` does.
        connect_args={
            "autocommit": True,
            **{name: value for name, value in _DEFAULTS.items() if name not in url.url.query},
        },
    )
    keep_snapshots(engine, attached)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:  # noqa: ANN401  untyped in SQLAlchemy
        driver = driver_of(connection)
        driver.adapters.register_loader("numeric", _Whole)
        (*_, (started,)) = _run(
            driver,
            f"SET search_path = {url.schema}; SET client_min_messages = warning; SET timezone = 'UTC'; "
            f"SET lock_timeout = {round(LOCK_TIMEOUT_S * 1000)}; "
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local'); "
            "SELECT pg_postmaster_start_time()::text",
        )
        record.info[SERVER_START] = started
        record.info[_POOL] = engine.pool

    @event.listens_for(engine, "checkin")
    def _on_return(_connection: object, record: ConnectionPoolEntry) -> None:
        """Close a connection that was in use when the idle ones were closed: its pool is not used any more."""
        if record.info.get(_POOL) is not engine.pool:
            record.invalidate()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        begin = connection.get_execution_options().get(BEGIN, READ)
        connection.info.pop(TRANSACTION_ID, None)
        try:
            *_, locked, began = [(None,), *_run(driver_of(connection.connection), begin)]
        except psycopg.Error as error:
            if is_lost(error):
                connection.invalidate(error)
            raise DBAPIError(None, None, error) from error
        connection.info[TRANSACTION_ID] = began[0]
        if locked == (False,):
            raise DBAPIError(None, None, psycopg.errors.LockNotAvailable()) from None

    return engine


@contextmanager
def one_transaction(url: DatabaseUrl, begin: str = READ) -> Generator[Connection]:
    """Run one transaction on a connection of its own, which is closed afterwards.

    Raises:
        UnavailableError: the server does not answer, or refuses.
    """
    engine = pooled_engine(url, {}, NullPool)
    with translated(url.name), engine.connect().execution_options(**{BEGIN: begin}) as connection, connection.begin():
        yield connection


def _run(driver: psycopg.Connection[Any], statements: str) -> list[tuple[Any, ...]]:
    """Run statements in one round trip; return the first row of each, or (None,) of one that has none."""
    cursor = driver.execute(statements.encode())
    rows = []
    while True:
        rows.append((cursor.fetchone() if cursor.description else None) or (None,))
        if not cursor.nextset():
            return rows
