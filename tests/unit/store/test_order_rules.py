"""Database rules for cohorts, operators and orders that stop collection: they hold for any program that writes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from volens.store.schema import data_tables as schema
from volens.store.sqlite import SqliteEngine

VALUES = {"now": "2099-03-01T12:00:00Z", "cohort": "c" * 32, "stop": "a" * 32, "other": "d" * 32}
SCENE = """
INSERT INTO zone VALUES ('lobby', 'operator', 'a', 'b', 1, :now, 90, 'none', 'allowed');
INSERT INTO operator_key VALUES ('anna', zeroblob(32), 0, :now, NULL);
INSERT INTO operators_required VALUES (0, 1, :now);
INSERT INTO operators_required VALUES (1, 2, :now);
INSERT INTO collection_stop VALUES (:stop, 'FR', NULL, 0, :now, NULL);
INSERT INTO cohort VALUES (:cohort, 'plan', '["by anna"]', :now, NULL, 'facts');
"""

REFUSED = {
    "a deleted cohort": "DELETE FROM cohort",
    "another plan": "UPDATE cohort SET plan = 'another'",
    "another approval": "UPDATE cohort SET approval = NULL",
    "another beginning": "UPDATE cohort SET begun_at = '2000-01-01T00:00:00Z'",
    "a cohort without approvals": "INSERT INTO cohort VALUES (:other, 'plan', NULL, :now, NULL, 'facts')",
    "an operator's other key": "UPDATE operator_key SET public_key = randomblob(32), removed_at = :now",
    "an operator replaced": "INSERT OR REPLACE INTO operator_key VALUES ('anna', randomblob(32), 0, :now, NULL)",
    "a key replaced": "INSERT OR REPLACE INTO operator_key VALUES ('ben', zeroblob(32), 0, :now, NULL)",
    "a deleted operator": "DELETE FROM operator_key",
    "a rule replaced": "INSERT OR REPLACE INTO operators_required VALUES (1, 1, :now)",
    "a rule in between": "INSERT INTO operators_required VALUES (-1, 1, :now)",
    "a rule far ahead": "INSERT INTO operators_required VALUES (9, 1, :now)",
    "a rule that requires no operator": "INSERT INTO operators_required VALUES (2, 0, :now)",
    "a changed rule": "UPDATE operators_required SET required = 1",
    "a deleted rule": "DELETE FROM operators_required WHERE seq = 1",
    "a stop without zone and jurisdiction": "INSERT INTO collection_stop VALUES (:other, NULL, NULL, 0, :now, NULL)",
    "a stop for others": "UPDATE collection_stop SET jurisdiction = 'DE', lifted_at = :now",
    "a stop replaced": "INSERT OR REPLACE INTO collection_stop VALUES (:stop, 'DE', NULL, 0, :now, NULL)",
    "a deleted stop": "DELETE FROM collection_stop",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "data.db"
    SqliteEngine(path, "data", schema.REVISIONS, create=True).close()
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A plain SQLite connection; its changes are rolled back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for statement in SCENE.split(";"):
            connection.execute(statement, VALUES)
        yield connection
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("what", REFUSED)
def test_the_database_refuses_the_statement(connection: sqlite3.Connection, what: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(REFUSED[what], VALUES)


def test_a_row_is_closed_once_and_never_changed_again(connection: sqlite3.Connection) -> None:
    once = (
        "UPDATE operator_key SET removed_at = :now",
        "UPDATE collection_stop SET lifted_at = :now",
        "UPDATE cohort SET facts = 'more', finished_at = :now",
    )
    for statement in once:
        connection.execute(statement, VALUES)
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement, VALUES)
