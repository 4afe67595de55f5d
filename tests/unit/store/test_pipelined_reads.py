"""Pipelined reads: statements are prepared once for a session, and an error names the schema that it is about."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from postgres_server import PostgresServer
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, func, make_url, select

from volens.consent import TamperError
from volens.store.postgres.pipelined_reads import PipelinedReads, Question
from volens.store.prepared_query import InList, PreparedQuery

COUNTED = Table("counted", MetaData(), Column("number", Integer))
FROM = PreparedQuery(select(COUNTED.c.number).where(COUNTED.c.number >= bindparam("least")).order_by(COUNTED.c.number))
ONE, TWO = (Question(f"site/{schema}", schema, FROM, {"least": 2}, with_fingerprint=False) for schema in ("one", "two"))


class Connections:
    """Connects to a database, and knows which connections it made."""

    def __init__(self, url: str) -> None:
        self.plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self.made: list[psycopg.Connection[Any]] = []

    def __call__(self, _is_fresh: bool) -> psycopg.Connection[Any]:  # noqa: FBT001  of a callback
        self.made.append(psycopg.connect(self.plain, autocommit=True))
        return self.made[-1]

    def run(self, statement: bytes) -> list[Any]:
        """Run a statement in the session of the newest connection, which is in pipeline mode between reads."""
        session = self.made[-1].pgconn
        session.exit_pipeline_mode()
        result = session.exec_(statement)
        return [result.get_value(number, 0) for number in range(result.ntuples)]


@pytest.fixture
def connections(server: PostgresServer) -> Iterator[Connections]:
    url = server.new_database()
    for schema, numbers in (("one", "(1), (2), (3)"), ("two", "(2), (20)")):
        server.run(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.counted (number int)", url)
        server.run(f"INSERT INTO {schema}.counted VALUES {numbers}", url)  # noqa: S608  of this test
    yield Connections(url)
    server.drop(url)


@pytest.fixture
def reads(connections: Connections) -> Iterator[PipelinedReads]:
    reads = PipelinedReads(connections)
    yield reads
    reads.close()


def rows(reads: PipelinedReads, *asked: Question) -> list[list[tuple[Any, ...]]]:
    with reads.begun(asked) as receive:
        return [answer.rows for answer in receive()]


def test_one_message_reads_two_schemas(reads: PipelinedReads, connections: Connections) -> None:
    assert rows(reads, ONE, TWO) == [[(2,), (3,)], [(2,), (20,)]]
    assert rows(reads, ONE._replace(values={"least": 3})) == [[(3,)]]
    assert len(connections.made) == 1


def test_values_of_every_kind_arrive_as_they_are(reads: PipelinedReads) -> None:
    texts = ["plain", 'a "quoted" one', "back\\slash, comma", "{brace}", "", "Zoë", "NULL"]
    values = PreparedQuery(
        select(
            bindparam("text", type_=Text),
            bindparam("number", type_=Integer),
            InList(bindparam("text", type_=Text), "texts"),
            func.nullif(1, 1),
        )
    )
    for text in texts:
        given = {"text": text, "number": -7, "texts": texts}
        assert rows(reads, ONE._replace(query=values, values=given)) == [[(text, -7, True, None)]]
    (answer,) = rows(reads, ONE._replace(query=values, values=given | {"texts": []}))
    assert answer[0][2] is False
    with pytest.raises(KeyError, match="least"):
        rows(reads, ONE._replace(values={}))
    with pytest.raises(TypeError, match="a pipelined read returns"):
        rows(reads, ONE._replace(query=PreparedQuery(select(func.random())), values={}))


def test_a_statement_is_prepared_once_for_a_session(reads: PipelinedReads, connections: Connections) -> None:
    for _ in range(3):
        rows(reads, ONE, TWO)
    # The question whether the server is a standby, and one statement for each schema.
    assert len(connections.run(b"SELECT name FROM pg_prepared_statements")) == 3
    assert len(connections.made) == 1


@pytest.mark.parametrize("meanwhile", [b"DEALLOCATE ALL", b"ALTER TABLE one.counted ALTER COLUMN number TYPE bigint"])
def test_a_session_with_useless_statements_is_replaced(
    reads: PipelinedReads, connections: Connections, meanwhile: bytes
) -> None:
    rows(reads, ONE, TWO)
    connections.run(meanwhile)
    assert rows(reads, ONE, TWO) == [[(2,), (3,)], [(2,), (20,)]]
    assert len(connections.made) == 2


@pytest.mark.parametrize("failing", ["one", "two"])
def test_an_error_names_the_schema_that_it_is_about(
    reads: PipelinedReads, connections: Connections, failing: str
) -> None:
    rows(reads, ONE, TWO)
    connections.run(f"DROP TABLE {failing}.counted".encode())
    with pytest.raises(TamperError, match=f"site/{failing} lacks a table"):
        rows(reads, ONE, TWO)
