"""A file of an earlier revision becomes one of this version, with every row in its place."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from tests.unit.store.raw import peek
from volens.store.schema import data_tables as schema
from volens.store.sqlite.database import Database

ROWS = """
INSERT INTO zone VALUES ('lobby', 'operator', 'because', 'a badge', 30, '2026-01-01T00:00:00Z');
INSERT INTO receipt VALUES (hex(zeroblob(16)), 'sssssssssssssssssssssssssssssssssssssssssss', 'lobby', zeroblob(32),
    't', randomblob(32), '2026-02-01T00:00:00Z');
INSERT INTO consent_end VALUES (hex(zeroblob(16)), 'withdrawn', '2026-01-02T00:00:00Z');
INSERT INTO erasure VALUES (hex(zeroblob(16)), 'notified', '{}', '2026-01-02T00:00:00Z');
INSERT INTO certificate VALUES (hex(zeroblob(16)), 'c', 'token', '2026-01-02T00:00:00Z');
"""
KEPT = ("zone", "receipt", "consent_end", "erasure", "certificate")


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data file of the first revision."""
    path = tmp_path / "volens.db"
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _to: upgrade(config, "0001"))
    Database(path, "data", ("0001",), create=True).close()
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ROWS)
    return path


def test_a_file_of_the_first_revision_keeps_its_rows_and_gets_the_new_rules(first: Path) -> None:
    before = {table: peek(first, f"SELECT * FROM {table}") for table in KEPT}  # noqa: S608  names are ours

    Database(first, "data", schema.REVISIONS).close()

    after = {table: peek(first, f"SELECT * FROM {table}") for table in KEPT}  # noqa: S608  names are ours
    assert after == before | {"zone": [(*before["zone"][0], 90, "none")]}
    assert peek(first, "PRAGMA foreign_key_check") == []
    with closing(sqlite3.connect(first)) as connection, pytest.raises(sqlite3.IntegrityError, match="never replaced"):
        connection.execute("DELETE FROM consent_end")


def test_a_consent_of_the_first_revision_was_last_heard_of_when_it_was_signed(first: Path) -> None:
    receipt, subject, until = "a" * 32, "t" * 43, "2026-02-01T00:00:00Z"
    with closing(sqlite3.connect(first, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO receipt VALUES (?, ?, 'lobby', zeroblob(32), 't', randomblob(32), ?)",
            (receipt, subject, until),
        )
        connection.execute("INSERT INTO live_consent VALUES (?, ?, 'lobby', ?)", (receipt, subject, until))

    Database(first, "data", schema.REVISIONS).close()

    kept = peek(first, "SELECT * FROM last_interaction")
    assert kept == [(receipt, subject, "lobby", "2026-01-02T00:00:00Z")]
