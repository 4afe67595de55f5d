"""Migrations: an existing file is upgraded to a later revision with every row in its place."""

import shutil
from pathlib import Path

import pytest

from tests.unit.store.raw import peek
from volens.consent import TamperError
from volens.store.sqlite import SqliteEngine, migrator

NEXT = '''"""A later revision."""
from alembic import op

revision = "next"
down_revision = "baseline"


def upgrade() -> None:
    op.execute("UPDATE rotation_schedule SET every_days = every_days + 1")
'''

ADD_COLUMN = "ALTER TABLE rotation_schedule ADD COLUMN remark TEXT"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A keyring of the baseline."""
    path = tmp_path / "keyring.db"
    SqliteEngine(path, "keyring", ("baseline",), create=True).close()
    return path


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The revisions of a later version of the program."""
    shutil.copytree(migrator.FOLDER, tmp_path / "migrations")
    (tmp_path / "migrations" / "keyring" / "next.py").write_text(NEXT)
    monkeypatch.setattr(migrator, "FOLDER", tmp_path / "migrations")
    return ("baseline", "next")


def test_an_older_file_is_upgraded_and_keeps_its_rows(path: Path, later: tuple[str, ...]) -> None:
    assert peek(path, "SELECT * FROM rotation_schedule") == [(1, 90)]

    SqliteEngine(path, "keyring", later).close()

    assert peek(path, "SELECT * FROM rotation_schedule") == [(1, 91)]
    assert peek(path, "SELECT version_num FROM alembic_version") == [("next",)]


def test_a_new_file_is_created_as_of_the_newest_revision(tmp_path: Path, later: tuple[str, ...]) -> None:
    """Its tables are those of the schema, so no revision runs."""
    SqliteEngine(tmp_path / "new.db", "keyring", later, create=True).close()

    assert peek(tmp_path / "new.db", "SELECT version_num FROM alembic_version") == [("next",)]
    assert peek(tmp_path / "new.db", "SELECT * FROM rotation_schedule") == [(1, 90)]


def test_a_revision_that_leaves_other_tables_than_a_new_file_has_is_undone(
    path: Path, later: tuple[str, ...], tmp_path: Path
) -> None:
    revision = tmp_path / "migrations" / "keyring" / "next.py"
    revision.write_text(NEXT.replace("UPDATE rotation_schedule SET every_days = every_days + 1", ADD_COLUMN))

    with pytest.raises(TamperError, match=r"keyring\.db has another table 'rotation_schedule' than this version makes"):
        SqliteEngine(path, "keyring", later)

    assert peek(path, "SELECT version_num FROM alembic_version") == [("baseline",)]
    SqliteEngine(path, "keyring", ("baseline",)).close()
