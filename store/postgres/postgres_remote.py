"""`RemoteDatabase` of PostgreSQL: reads of one round trip on the primary, and a signal of each commit."""

from collections.abc import Callable, Mapping
from typing import Any, Final, final

import psycopg
from sqlalchemy import literal_column, select

from volens.store.engine import RemoteDatabase, Rows
from volens.store.postgres.change_listener import PostgresSignal
from volens.store.postgres.database_url import DatabaseUrl
from volens.store.postgres.pipelined_reads import Answer, PipelinedReads, Question
from volens.store.postgres.postgres_errors import translated
from volens.store.prepared_query import PreparedQuery

_CLOCK: Final = PreparedQuery(select(literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")))


@final
class PostgresRemote:
    """`RemoteDatabase` over one schema of a PostgreSQL database. Thread-safe.

    Attributes:
        url: of the schema.
        reads: the connections to its database.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        connect: Callable[[bool], psycopg.Connection[Any]],
        is_due: Callable[[], bool],
        check: Callable[[str], None],
    ) -> None:
        """Use connections that `connect` returns, with True one that was made just now.

        When `is_due`, `check` gets the fingerprint of the schema.
        """
        self.url = url
        self.reads = PipelinedReads(connect)
        self._connect = connect
        self._is_due = is_due
        self._check = check

    def read(self, query: PreparedQuery, values: Mapping[str, object]) -> Rows:
        """Return the rows of a query, as committed at a time between call and return."""
        with translated(self.url.name), self.reads.begun([self.question(query, values)]) as receive:
            (answer,) = receive()
        return self.checked(answer)

    def read_after(
        self, other: RemoteDatabase, first: PreparedQuery, query: PreparedQuery, values: Mapping[str, object]
    ) -> tuple[Rows, Rows]:
        """Return the rows of a query of another database, and those of one of this; see `RemoteDatabase`."""
        if not isinstance(other, PostgresRemote):
            raise TypeError("the databases of one site are on servers of one kind")
        theirs, ours = other.question(first, {}), self.question(query, values)
        if other.url.url == self.url.url:
            with translated(self.url.name), self.reads.begun([theirs, ours]) as receive:
                before, after = receive()
        else:
            with (
                translated(other.url.name),
                other.reads.begun([theirs]) as receive_first,
                translated(self.url.name),
                self.reads.begun([ours]) as receive,
            ):
                with translated(other.url.name):
                    (before,) = receive_first()
                (after,) = receive()
        return other.checked(before), self.checked(after)

    def question(self, query: PreparedQuery, values: Mapping[str, object]) -> Question:
        """Return a question about this schema, with its fingerprint if that is due."""
        return Question(self.url.name, self.url.schema, query, values, self._is_due())

    def checked(self, answer: Answer) -> Rows:
        """Return the rows of an answer; the fingerprint that came with it is looked at."""
        if answer.fingerprint is not None:
            with translated(self.url.name):
                self._check(answer.fingerprint)
        return answer.rows

    def clock_ms(self) -> int:
        """Return the time of the server, which is not that of a transaction."""
        ((at_ms,),) = self.read(_CLOCK, {})
        return int(at_ms)

    def signal(self) -> PostgresSignal:
        """Return a connection that listens."""
        with translated(self.url.name):
            return PostgresSignal(self.url.name, self.url.schema, self._connect(True))

    def close(self) -> None:
        """Close the idle connections."""
        self.reads.close()


@final
class RemoteReads:
    """`ReadSnapshot` of queries of which each sees its own snapshot, in one round trip."""

    __slots__ = ("_remote", "attached")

    def __init__(self, remote: PostgresRemote, attached: dict[str, Any]) -> None:
        self._remote = remote
        self.attached = attached

    def rows(self, query: PreparedQuery, values: Mapping[str, object]) -> Rows:
        """Return the rows of a query; KeyError if a parameter has no value."""
        return self._remote.read(query, values)
