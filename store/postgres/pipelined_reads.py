"""Reads in one round trip: libpq's pipeline mode sends several queries as one message, over one connection.

Before the queries goes the question whether the server is a standby, whose answers may be old, and now and then the
fingerprint of a schema. Statements are prepared once for each connection, in the message in which they first run, so
the server neither parses nor plans them for each decision. Sending and receiving are two steps, so that a caller can
send to two servers before it waits for either.
"""

import select
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from itertools import chain
from typing import Any, Final, NamedTuple, final

import psycopg
from psycopg import errors, pq
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from volens.store.postgres.postgres_catalogue import fingerprint_of
from volens.store.postgres.postgres_errors import is_lost, meant
from volens.store.prepared_query import PreparedQuery

ANSWER_TIMEOUT_MS: Final = 15_000
_DIALECT: Final = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_IS_STANDBY: Final = b"SELECT pg_is_in_recovery()"
_BINARY: Final = 1
_INTEGERS: Final = frozenset({20, 21, 23})
_BOOLEAN: Final = 16
_BYTES: Final = 17
_TEXTS: Final = frozenset({25, 1043})
_FORGOTTEN: Final = (errors.InvalidSqlStatementName, errors.FeatureNotSupported)
"""The session has no such prepared statement any more, or its columns have other types since."""


class Question(NamedTuple):
    """A query about one schema.

    Attributes:
        name: what errors call the schema.
        values: of the parameters: whole numbers, texts, and lists of them.
        with_fingerprint: whether the fingerprint of the schema is asked for too.
    """

    name: str
    schema: str
    query: PreparedQuery
    values: Mapping[str, object]
    with_fingerprint: bool


class Answer(NamedTuple):
    """The rows of a query, and the fingerprint of its schema if it was asked for."""

    rows: list[tuple[Any, ...]]
    fingerprint: str | None


class _Statement(NamedTuple):
    sql: bytes
    values: list[bytes | None]
    of: str


@final
class PipelinedReads:
    """Reads on connections that are kept for this, outside transactions. Thread-safe."""

    def __init__(self, connect: Callable[[bool], psycopg.Connection[Any]]) -> None:
        """Read over connections that `connect` returns, with True one that was made just now."""
        self._connect = connect
        self._idle: list[_Reader] = []

    @contextmanager
    def begun(self, questions: Sequence[Question]) -> Generator[Callable[[], list[Answer]]]:
        """Send queries, which run in this order, and yield the function that waits for their answers.

        If the connection is lost, or has forgotten its prepared statements, all is sent once more over a new one.

        Raises:
            psycopg.Error: the connection is lost; `ReadOnlySqlTransaction` if the server is a standby.
            UnavailableError, TamperError: a query failed.
        """
        statements = [_Statement(_IS_STANDBY, [], questions[0].name), *chain.from_iterable(map(_statements, questions))]
        used: list[_Reader] = []

        def sent(reader: _Reader) -> _Reader:
            used.append(reader)
            reader.send(statements)
            return reader

        def receive() -> list[Answer]:
            try:
                rows = used[-1].receive(statements)
            except psycopg.Error as error:
                if not is_lost(error) and not isinstance(error, _FORGOTTEN):
                    raise
                self.close()
                rows = sent(_Reader(self._connect(True))).receive(statements)
            answers = list(_answers(rows, questions))
            self._idle.append(used.pop())
            return answers

        try:
            try:
                sent(self._idle.pop() if self._idle else _Reader(self._connect(False)))
            except (psycopg.Error, IndexError) as error:  # another thread took the last one
                if not isinstance(error, IndexError) and not is_lost(error):
                    raise
                self.close()
                sent(_Reader(self._connect(True)))
            yield receive
        finally:
            for one in used:  # lost, or a query failed, or its answer was not waited for
                one.close()

    def close(self) -> None:
        """Close the idle connections."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


@final
class _Reader:
    """A connection in pipeline mode, and the names of the statements that are prepared in its session."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._prepared: set[bytes] = set()

    def send(self, statements: Iterable[_Statement]) -> None:
        """Send statements as one message; those that are new to the session are prepared with it."""
        connection = self._connection.pgconn
        if connection.pipeline_status == pq.PipelineStatus.OFF:
            connection.enter_pipeline_mode()
        for sql, values, _of in statements:
            name = _name_of(sql)
            if name not in self._prepared:
                connection.send_prepare(name, sql)
                self._prepared.add(name)
            connection.send_query_prepared(name, values, result_format=_BINARY)
        connection.pipeline_sync()
        while connection.flush():
            self._wait(select.POLLIN | select.POLLOUT)
            connection.consume_input()

    def receive(self, statements: Sequence[_Statement]) -> list[list[tuple[Any, ...]]]:
        """Wait for the rows of each statement.

        Raises:
            psycopg.Error: the connection is lost, or has forgotten a statement.
            UnavailableError, TamperError: a statement failed.
        """
        rows: list[list[tuple[Any, ...]]] = []
        for result in self._results():
            if result.status == pq.ExecStatus.TUPLES_OK:
                rows.append([_row(result, number) for number in range(result.ntuples)])
            elif result.status == pq.ExecStatus.FATAL_ERROR:
                error = errors.error_from_result(result)
                if is_lost(error) or isinstance(error, _FORGOTTEN):
                    raise error
                raise meant(statements[len(rows)].of, error)
        return rows

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _results(self) -> list[Any]:
        connection: Any = self._connection.pgconn  # one of two implementations
        results: list[Any] = []
        while True:
            while connection.is_busy():
                self._wait(select.POLLIN)
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)
            if connection.status == pq.ConnStatus.BAD:
                raise psycopg.OperationalError("the connection is lost")

    def _wait(self, events: int) -> None:
        """Wait without Python's lock, which `get_result` would hold."""
        waiting = select.poll()
        waiting.register(self._connection.pgconn.socket, events)
        if not waiting.poll(ANSWER_TIMEOUT_MS):
            raise psycopg.OperationalError("no answer")


def _answers(rows: list[list[tuple[Any, ...]]], questions: Sequence[Question]) -> Iterator[Answer]:
    standby, *rest = rows
    if standby != [(False,)]:
        raise errors.ReadOnlySqlTransaction
    found = iter(rest)
    for one in questions:
        yield Answer(next(found), str(next(found)[0][0]) if one.with_fingerprint else None)


def _row(result: Any, number: int) -> tuple[Any, ...]:  # noqa: ANN401  one of two implementations
    return tuple(_value(result.ftype(at), result.get_value(number, at)) for at in range(result.nfields))


def _value(kind: int, value: bytes | None) -> Any:  # noqa: ANN401  whatever the column has
    if value is None:
        return None
    if kind in _INTEGERS:
        return int.from_bytes(value, signed=True)
    if kind == _BOOLEAN:
        return value == b"\1"
    if kind == _BYTES:
        return value
    if kind not in _TEXTS:
        raise TypeError("a pipelined read returns whole numbers, texts, bytes and truth values only")
    return value.decode()


def _statements(question: Question) -> Iterator[_Statement]:
    sql, names, fixed = _compiled(question.query, question.schema)
    values = {**fixed, **question.values}
    yield _Statement(sql, [_text(values[name]).encode() for name in names], question.name)
    if question.with_fingerprint:
        yield _Statement(fingerprint_of(question.schema).encode(), [], question.name)


def _text(value: object) -> str:
    """Return a parameter in the text format of PostgreSQL."""
    match value:
        case str():
            return value
        case int():
            return str(value)
        case list():
            return "{" + ",".join(f'"{_escaped(_text(one))}"' for one in value) + "}"
    raise TypeError("a parameter of a pipelined read is a whole number, a text or a list of them")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@cache
def _compiled(query: PreparedQuery, schema: str) -> tuple[bytes, list[str], dict[str, Any]]:
    """Return SQL that names the schema, the parameters in their order, and the values of those that SQLAlchemy set."""
    compiled = query.query.compile(dialect=_DIALECT, schema_translate_map={None: schema}, render_schema_translate=True)
    fixed = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled).encode(), list(compiled.positiontup or ()), fixed


@cache
def _name_of(sql: bytes) -> bytes:
    """Return a name that means this statement in any session, also in one that a pooler gives to several processes."""
    return b"volens_" + sha256(sql).hexdigest()[:32].encode()
