"""The tables as Python knows them are the tables that the migrations made."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import ForeignKeyConstraint, MetaData, Table, UniqueConstraint

from tests.unit.store.raw import peek
from volens.store.keys import keyring_schema
from volens.store.schema import data_tables as schema
from volens.store.sqlite.database import Database

LINES: dict[str, tuple[MetaData, tuple[str, ...]]] = {
    "data": (schema.metadata, schema.REVISIONS),
    "keyring": (keyring_schema.metadata, keyring_schema.REVISIONS),
}
TABLES = [(line, table) for line, (metadata, _) in LINES.items() for table in metadata.sorted_tables]
TYPES = {"VARCHAR": "TEXT", "VARCHAR(20)": "TEXT", "INTEGER": "INTEGER", "BLOB": "BLOB"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("migrated")
    made = {line: folder / f"{line}.db" for line in LINES}
    for line, (_metadata, revisions) in LINES.items():
        Database(made[line], line, revisions, create=True).close()
    return made


@pytest.mark.parametrize("line", LINES)
def test_there_is_no_table_that_python_does_not_know_and_none_is_missing(files: dict[str, Path], line: str) -> None:
    known = {*LINES[line][0].tables, "alembic_version"}

    found = {name for (name,) in peek(files[line], "SELECT name FROM sqlite_master WHERE type = 'table'")}

    assert {name for name in found if not name.startswith("sqlite_")} == known


@pytest.mark.parametrize(("line", "table"), TABLES, ids=[table.name for _, table in TABLES])
def test_a_table_is_the_same_to_python_and_to_the_database(files: dict[str, Path], line: str, table: Table) -> None:
    found = [
        (name, kind, bool(notnull), position)
        for _, name, kind, notnull, _, position in peek(files[line], f"PRAGMA table_info({table.name})")
    ]

    keys = list(table.primary_key.columns)
    dialect = __import__("sqlalchemy.dialects.sqlite", fromlist=["dialect"]).dialect()
    assert found == [
        (
            column.name,
            TYPES[column.type.compile(dialect=dialect)],
            not column.nullable,
            keys.index(column) + 1 if column.primary_key else 0,
        )
        for column in table.columns
    ]


@pytest.mark.parametrize(("line", "table"), TABLES, ids=[table.name for _, table in TABLES])
def test_a_tables_keys_are_the_same_to_python_and_to_the_database(
    files: dict[str, Path], line: str, table: Table
) -> None:
    foreign: dict[int, tuple[str, str, list[tuple[str, str]]]] = {}
    for number, _, target, here, there, _, on_delete, _ in peek(files[line], f"PRAGMA foreign_key_list({table.name})"):
        foreign.setdefault(number, (target, on_delete, []))[2].append((here, there))
    unique = {
        tuple(column for _, _, column in peek(files[line], f"PRAGMA index_info('{name}')"))
        for _, name, is_unique, origin, _ in peek(files[line], f"PRAGMA index_list({table.name})")
        if is_unique and origin == "u"
    }

    assert sorted(foreign.values()) == sorted(
        (
            key.referred_table.name,
            key.ondelete or "NO ACTION",
            [(element.parent.name, element.column.name) for element in key.elements],
        )
        for key in table.constraints
        if isinstance(key, ForeignKeyConstraint)
    )
    assert unique == {
        tuple(column.name for column in key.columns) for key in table.constraints if isinstance(key, UniqueConstraint)
    }


@pytest.mark.parametrize(("line", "table"), TABLES, ids=[table.name for _, table in TABLES])
def test_every_table_is_strict_about_its_types(files: dict[str, Path], line: str, table: Table) -> None:
    ((sql,),) = peek(files[line], "SELECT sql FROM sqlite_master WHERE name = ?", table.name)

    assert re.search(r"\)\s*STRICT\s*\Z", sql)
    assert ("AUTOINCREMENT" in sql) is (
        table.name in {"badge", "biometric_reference", "passage", "webhook_outbox", "job"}
    )


def test_indexes_are_those_that_python_knows(files: dict[str, Path]) -> None:
    found = peek(files["data"], "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")

    assert {name for (name,) in found} == {
        index.name for table in schema.metadata.sorted_tables for index in table.indexes
    }


@pytest.mark.parametrize("line", LINES)
def test_a_migrated_file_says_the_newest_revision(files: dict[str, Path], line: str) -> None:
    assert peek(files[line], "SELECT version_num FROM alembic_version") == [(LINES[line][1][-1],)]


APPEND_ONLY = (
    "zone",
    "notice",
    "receipt",
    "consent_end",
    "certificate",
    "audit_event",
    "audit_node",
    "audit_checkpoint",
)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "REPLACE"])
def test_what_is_kept_is_never_changed_deleted_or_replaced(house_of_rows: Path, table: str, verb: str) -> None:
    columns = [name for _, name, *_ in peek(house_of_rows, f"PRAGMA table_info({table})")]
    statement = {
        "UPDATE": f"UPDATE {table} SET {columns[0]} = {columns[0]}",  # noqa: S608  names of our own
        "DELETE": f"DELETE FROM {table}",  # noqa: S608  names of our own
        "REPLACE": f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",  # noqa: S608  names of our own
    }[verb]
    with closing(sqlite3.connect(house_of_rows)) as connection:
        words = "the log only grows|never replaced, changed or deleted"
        with pytest.raises(sqlite3.IntegrityError, match=words):
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit_opening SET details = '{}'", "an opening is kept or erased, never changed"),
        ("UPDATE biometric_reference SET model_id = 'x'", "a reference is never changed"),
        ("UPDATE live_consent SET expires_at = '9999-01-01T00:00:00Z'", "given, shortened or ended, never moved"),
        ("INSERT INTO subject_profile VALUES (hex(zeroblob(16)), 's', 'lobby', x'00')", "no live consent"),
    ],
)
def test_rows_that_die_with_the_consent_are_never_changed_nor_made_without_one(
    house_of_rows: Path, statement: str, words: str
) -> None:
    with closing(sqlite3.connect(house_of_rows)) as connection, pytest.raises(sqlite3.IntegrityError, match=words):
        connection.execute(statement)
