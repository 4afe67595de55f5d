"""`RemoteDatabase` of PostgreSQL: reads of one round trip on the primary, and a signal of each commit."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, final

import psycopg
from sqlalchemy import literal_column, select

from volens.store.engine import Rows
from volens.store.postgres.change_listener import PostgresSignal
from volens.store.postgres.pipelined_reads import PipelinedReads
from volens.store.postgres.postgres_errors import translated
from volens.store.prepared_query import PreparedQuery

_CLOCK: Final = PreparedQuery(select(literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")))


@final
class PostgresRemote:
    """`RemoteDatabase` over one schema of a PostgreSQL database. Thread-safe."""

    def __init__(
        self,
        name: str,
        schema: str,
        connect: Callable[[bool], psycopg.Connection[Any]],
        is_due: Callable[[], bool],
        check: Callable[[str], None],
    ) -> None:
        """Use connections that `connect` returns, with True one that was made just now.

        When `is_due`, `check` gets the fingerprint of the schema.
        """
        self._name = name
        self._schema = schema
        self._connect = connect
        self._is_due = is_due
        self._check = check
        self._reads = PipelinedReads(schema, connect)

    @contextmanager
    def begin_read(self, query: PreparedQuery, values: Mapping[str, int]) -> Generator[Callable[[], Rows]]:
        """Send a query, and yield what waits for its rows; see `RemoteDatabase`."""
        with (
            translated(self._name),
            self._reads.begun(query, values, with_fingerprint=self._is_due()) as receive,
        ):

            def rows() -> Rows:
                with translated(self._name):
                    answer = receive()
                    if answer.fingerprint is not None:
                        self._check(answer.fingerprint)
                return answer.rows

            yield rows

    def clock_ms(self) -> int:
        """Return the time of the server, which is not that of a transaction."""
        with self.begin_read(_CLOCK, {}) as rows:
            ((at_ms,),) = rows()
        return int(at_ms)

    def signal(self) -> PostgresSignal:
        """Return a connection that listens."""
        with translated(self._name):
            return PostgresSignal(self._name, self._schema, self._connect(True))

    def close(self) -> None:
        """Close the idle connections."""
        self._reads.close()
