"""Reads in one round trip, whatever is looked at besides: libpq's pipeline mode sends several queries as one message.

With a query goes the question whether the server is a standby, whose answers may be old, and now and then the
fingerprint of the schema. Sending and receiving are two steps, so that a caller can send to two databases before it
waits for either.
"""

import select
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final, NamedTuple, final

import psycopg
from psycopg import errors, pq
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from volens.store.postgres.postgres_catalogue import fingerprint_of
from volens.store.postgres.postgres_errors import is_lost
from volens.store.prepared_query import PreparedQuery

ANSWER_TIMEOUT_MS: Final = 15_000
_DIALECT: Final = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_IS_STANDBY: Final = b"SELECT pg_is_in_recovery()"
_BINARY: Final = 1
_INTEGERS: Final = frozenset({20, 21, 23})
_BOOLEAN: Final = 16
_BYTES: Final = 17
_Statement = tuple[bytes, list[bytes | None]]


class Answer(NamedTuple):
    """The rows of a query, and the fingerprint of the schema if it was asked for."""

    rows: list[tuple[Any, ...]]
    fingerprint: str | None


@final
class PipelinedReads:
    """Reads on connections that are kept for this, outside transactions. Thread-safe."""

    def __init__(self, schema: str, connect: Callable[[bool], psycopg.Connection[Any]]) -> None:
        """Read in a schema; `connect` returns a connection, with True one that was made just now."""
        self._schema = schema
        self._connect = connect
        self._idle: list[psycopg.Connection[Any]] = []

    @contextmanager
    def begun(
        self, query: PreparedQuery, values: Mapping[str, int], *, with_fingerprint: bool
    ) -> Generator[Callable[[], Answer]]:
        """Send a query, and yield the function that waits for its answer. Parameters are whole numbers.

        If the connection is lost, the query is sent once more over a new one.

        Raises:
            psycopg.Error: the query failed; `ReadOnlySqlTransaction` if the server is a standby.
        """
        statements: list[_Statement] = [_bound(query, values), (_IS_STANDBY, [])]
        if with_fingerprint:
            statements.append((fingerprint_of(self._schema).encode(), []))
        used: list[psycopg.Connection[Any]] = []

        def sent(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
            used.append(connection)
            _send(connection.pgconn, statements)
            return connection

        def receive() -> Answer:
            try:
                answer = _receive(used[-1].pgconn)
            except psycopg.Error as error:
                if not is_lost(error):
                    raise
                self.close()
                answer = _receive(sent(self._connect(True)).pgconn)
            self._idle.append(used.pop())
            return _read(answer)

        try:
            try:
                sent(self._idle.pop() if self._idle else self._connect(False))
            except (psycopg.Error, IndexError) as error:  # another thread took the last one
                if not isinstance(error, IndexError) and not is_lost(error):
                    raise
                self.close()
                sent(self._connect(True))
            yield receive
        finally:
            for one in used:  # lost, or its answer was not waited for
                one.close()

    def close(self) -> None:
        """Close the idle connections."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


def _send(connection: Any, statements: list[_Statement]) -> None:  # noqa: ANN401  one of two implementations
    if connection.pipeline_status == pq.PipelineStatus.OFF:
        connection.enter_pipeline_mode()
    for sql, values in statements:
        connection.send_query_params(sql, values, result_format=_BINARY)
    connection.pipeline_sync()
    while connection.flush():
        _wait(connection, select.POLLIN | select.POLLOUT)
        connection.consume_input()


def _receive(connection: Any) -> list[Any]:  # noqa: ANN401  as above
    results: list[Any] = []
    while True:
        while connection.is_busy():
            _wait(connection, select.POLLIN)
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            continue
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            return results
        results.append(result)
        if connection.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError("the connection is lost")


def _wait(connection: Any, events: int) -> None:  # noqa: ANN401  as above
    """Wait without Python's lock, which `get_result` would hold."""
    waiting = select.poll()
    waiting.register(connection.socket, events)
    if not waiting.poll(ANSWER_TIMEOUT_MS):
        raise psycopg.OperationalError("no answer")


def _read(results: list[Any]) -> Answer:
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result)
    rows, standby, *fingerprint = ([_row(one, number) for number in range(one.ntuples)] for one in results)
    if standby != [(False,)]:
        raise errors.ReadOnlySqlTransaction
    return Answer(rows, str(fingerprint[0][0][0]) if fingerprint else None)


def _row(result: Any, number: int) -> tuple[Any, ...]:  # noqa: ANN401  as above
    return tuple(_value(result.ftype(at), result.get_value(number, at)) for at in range(result.nfields))


def _value(kind: int, value: bytes | None) -> Any:  # noqa: ANN401  whatever the column has
    if value is None:
        return None
    if kind in _INTEGERS:
        return int.from_bytes(value, signed=True)
    if kind == _BOOLEAN:
        return value == b"\1"
    return value if kind == _BYTES else value.decode()


def _bound(query: PreparedQuery, values: Mapping[str, int]) -> _Statement:
    sql, names, fixed = _compiled(query)
    return sql, [str(values[name] if name in values else fixed[name]).encode() for name in names]


@cache
def _compiled(query: PreparedQuery) -> tuple[bytes, list[str], dict[str, Any]]:
    compiled = query.query.compile(dialect=_DIALECT)
    return str(compiled).encode(), list(compiled.positiontup or ()), dict(compiled.params)
