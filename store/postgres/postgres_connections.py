"""Connections to a PostgreSQL schema: their settings, and how they begin a transaction in one round trip."""

from typing import Any, Final

import psycopg
from psycopg.types.numeric import IntLoader
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import Pool, QueuePool

from volens.store.postgres.database_url import DatabaseUrl
from volens.store.postgres.postgres_errors import is_lost
from volens.store.postgres.postgres_snapshot import driver_of, keep_snapshots

CONNECT_TIMEOUT_S: Final = 5
READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
BEGIN: Final = "volens_begin"
"""The execution option with the statements that begin a transaction."""

TRANSACTION_ID: Final = "volens_transaction_id"
"""Under this key the connection keeps the id of a transaction that writes."""


class _Whole(IntLoader):
    """Sums of whole numbers are whole numbers; the tables have no others."""


def pooled_engine(url: DatabaseUrl, attached: dict[str, Any], pool: type[Pool] = QueuePool) -> Engine:
    """Return a pool of connections to a schema; a transaction begins with the statement of its option `BEGIN`."""
    engine = create_engine(
        url.url,
        poolclass=pool,
        hide_parameters=True,  # an error message must not have what was written
        # autocommit: the driver begins no transaction by itself, `_on_begin` does.
        connect_args={"autocommit": True, "connect_timeout": CONNECT_TIMEOUT_S, "application_name": "volens"},
    )
    keep_snapshots(engine, attached)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:  # noqa: ANN401  untyped in SQLAlchemy
        driver = driver_of(connection)
        driver.adapters.register_loader("numeric", _Whole)
        driver.execute(
            f"SET search_path = {url.schema}; SET client_min_messages = warning; SET timezone = 'UTC'; "
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local')".encode()
        )

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        begin = connection.get_execution_options().get(BEGIN, READ)
        cursor = driver_of(connection.connection).cursor()
        connection.info.pop(TRANSACTION_ID, None)
        try:
            cursor.execute(str(begin).encode())
            values = [cursor.fetchone() if cursor.description else None]
            while cursor.nextset():
                values.append(cursor.fetchone() if cursor.description else None)
        except psycopg.Error as error:
            if is_lost(error):
                connection.invalidate(error)
            raise DBAPIError(None, None, error) from error
        if values[-1] is not None:
            connection.info[TRANSACTION_ID] = values[-1][0]
            if values[-2] == (False,):
                raise DBAPIError(None, None, psycopg.errors.LockNotAvailable()) from None

    return engine
