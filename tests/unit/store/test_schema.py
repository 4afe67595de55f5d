"""Both files as created: strict tables, indexes, revision, and rows of evidence that no statement changes."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from tests.unit.store.raw import peek
from volens.store.schema import OWNER, PERSONAL, data_tables, keyring_tables, rule_of
from volens.store.sqlite import SqliteEngine

LINES: dict[str, tuple[MetaData, tuple[str, ...]]] = {
    "data": (data_tables.metadata, data_tables.REVISIONS),
    "keyring": (keyring_tables.metadata, keyring_tables.REVISIONS),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("created")
    made = {line: folder / f"{line}.db" for line in LINES}
    for line, (_metadata, revisions) in LINES.items():
        SqliteEngine(made[line], line, revisions, create=True).close()
    return made


@pytest.mark.parametrize("line", LINES)
def test_every_declared_table_is_created_and_strict_about_types(files: dict[str, Path], line: str) -> None:
    found = dict(
        peek(files[line], "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE '%('||char(10)||'%'")
    )
    del found["alembic_version"]

    assert set(found) == set(LINES[line][0].tables)
    assert [name for name, sql in found.items() if not re.search(r"\)\s*STRICT\s*\Z", sql)] == []


def test_ids_that_are_sealed_or_sent_are_never_given_twice(files: dict[str, Path]) -> None:
    found = peek(files["data"], "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'")

    assert {name for (name,) in found} == {
        *("badge", "biometric_reference", "passage", "webhook_outbox", "job", "lease")
    }


def test_every_declared_index_is_created(files: dict[str, Path]) -> None:
    found = peek(files["data"], "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")

    declared = {index.name for table in data_tables.metadata.sorted_tables for index in table.indexes}
    assert {name for (name,) in found} == declared


@pytest.mark.parametrize("line", LINES)
def test_a_new_file_is_of_the_newest_revision(files: dict[str, Path], line: str) -> None:
    assert peek(files[line], "SELECT version_num FROM alembic_version") == [(LINES[line][1][-1],)]


def test_every_personal_table_has_a_cascading_key_to_the_live_consent(files: dict[str, Path]) -> None:
    query = 'SELECT "table", "from", on_delete FROM pragma_foreign_key_list(?) ORDER BY seq'
    keys = {one.table.name: peek(files["data"], query, one.table.name) for one in PERSONAL}

    assert keys == {name: [("live_consent", column, "CASCADE") for column in OWNER] for name in keys}


@pytest.mark.parametrize("table", [one.table.name for one in PERSONAL])
def test_the_cascade_finds_the_rows_of_one_consent_by_an_index(files: dict[str, Path], table: str) -> None:
    columns = " AND ".join(f"{column} = ?" for column in OWNER)
    with closing(sqlite3.connect(files["data"])) as data:
        query = f"EXPLAIN QUERY PLAN DELETE FROM {table} WHERE {columns}"  # noqa: S608  a declared table
        plan = data.execute(query, [""] * len(OWNER)).fetchall()
    assert [re.search(r"USING (COVERING )?INDEX \w+ \(receipt_id=\?", step[3]) is not None for step in plan] == [True]


def test_every_table_with_an_owner_is_personal_or_evidence() -> None:
    """A new table with a person's rows is registered, or named here with the reason why not."""
    others = {
        "receipt",  # in the access answer as the signed receipt
        "live_consent",  # the table that personal tables reference; in the answer
        "consent_end",  # in the answer as `ended`
        "erasure",  # the journal of an ended consent
        "certificate",  # in the answer by its id
        "access_request",  # in the answer, as evidence
        "audit_opening",  # counted in the answer; erased by `forget_all`
        "shard_opening",  # the same, of visits
        "acknowledgement",  # about a recipient
        "cohort_member",  # evidence of an order
        "webhook_outbox",  # messages to recipients, who are in the answer; deleted by a trigger of its own
    }
    with_receipt = {table.name for table in data_tables.metadata.sorted_tables if "receipt_id" in table.columns}

    assert with_receipt - others == {one.table.name for one in PERSONAL}


def test_rows_of_evidence_are_never_changed_deleted_or_replaced(house_of_rows: Path) -> None:
    """Over a plain connection, on which SQLite's foreign keys are off."""
    accepted, tried = [], set()
    with closing(sqlite3.connect(house_of_rows, isolation_level=None)) as connection:
        for table in data_tables.metadata.sorted_tables:
            name, column = table.name, next(iter(table.columns)).name
            rule = rule_of(table)
            (rows,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608  names of our own
            if rule is None or rule.deletable or rule.changeable or not rows:
                continue
            tried.add(name)
            for statement in (
                f"UPDATE {name} SET {column} = {column}",  # noqa: S608  names of our own
                f"DELETE FROM {name}",  # noqa: S608  names of our own
                f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}",  # noqa: S608  names of our own
            ):
                try:
                    connection.execute(statement)
                except sqlite3.IntegrityError as error:
                    if re.search("is appended|is not (replaced|changed|deleted)", str(error)):
                        continue
                accepted.append(statement)

    assert accepted == []
    assert tried == {
        *("zone", "site_declaration", "zone_declaration", "notice", "certificate"),
        *("audit_event", "audit_node", "audit_checkpoint"),
    }


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit_opening SET details = '{}'", "audit_opening is not changed"),
        ("UPDATE biometric_reference SET model_id = 'x'", "biometric_reference is not changed"),
        (
            "UPDATE live_consent SET expires_at = '9999-01-01T00:00:00Z'",
            "live_consent expires at is only moved earlier",
        ),
        ("UPDATE live_consent SET purpose = 'x'", "live_consent is not changed"),
        (
            "INSERT INTO subject_profile VALUES (hex(zeroblob(16)), 's', 'lobby', x'00', NULL)",
            "subject_profile needs live consent",
        ),
        ("UPDATE receipt SET token = 'x'", "receipt (is not changed|code is changed while in force only)"),
        ("DELETE FROM receipt", "receipt is not deleted"),
        ("INSERT OR REPLACE INTO receipt SELECT * FROM receipt", "receipt is not replaced"),
        ("UPDATE last_interaction SET subject_id = 'x'", "last_interaction is not changed"),
    ],
)
def test_personal_rows_are_never_moved_nor_made_without_consent(
    house_of_rows: Path, statement: str, words: str
) -> None:
    with closing(sqlite3.connect(house_of_rows)) as connection, pytest.raises(sqlite3.IntegrityError, match=words):
        connection.execute(statement)
