"""The pool of connections to a PostgreSQL server: a thread waits a few seconds for one, and then says so."""

from contextlib import ExitStack

import pytest
from postgres_server import PostgresServer
from sqlalchemy import Engine

from volens.consent import UnavailableError
from volens.store.postgres import DatabaseUrl
from volens.store.postgres.postgres_connections import pooled_engine
from volens.store.postgres.postgres_errors import translated


def use_all(engine: Engine) -> None:
    with ExitStack() as used, translated("it"):
        while True:
            used.enter_context(engine.connect())


def test_a_thread_that_gets_no_connection_says_so(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volens.store.postgres.postgres_connections.POOL_TIMEOUT_S", 0.01)
    database = server.new_database()
    engine = pooled_engine(DatabaseUrl.parse(database, schema="volens"), {})

    with pytest.raises(UnavailableError, match="it is used by all connections of this process; this step was not done"):
        use_all(engine)

    engine.dispose()
    server.drop(database)
