"""The SQLite engine: opening, pragmas, transactions, and scrubbing of deleted rows."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from connections import lock_timeout
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from volens.consent import TamperError, UnavailableError, VolensError
from volens.store.prepared_query import PreparedQuery
from volens.store.schema import data_tables as schema
from volens.store.schema import keyring_tables
from volens.store.sqlite import SqliteEngine

LINES = {"data": schema.REVISIONS, "keyring": keyring_tables.REVISIONS}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A new data file, closed."""
    path = tmp_path / "some.db"
    SqliteEngine(path, "data", LINES["data"], create=True).close()
    return path


@pytest.fixture
def database(path: Path) -> Iterator[SqliteEngine]:
    database = SqliteEngine(path, "data", LINES["data"])
    yield database
    database.close()


@pytest.mark.parametrize("line", LINES)
def test_a_new_database_and_its_companion_files_have_mode_0600(tmp_path: Path, line: str) -> None:
    database = SqliteEngine(tmp_path / "new.db", line, LINES[line], create=True)
    files = {place.name: (tmp_path / place.name).stat().st_mode & 0o777 for place in database.places()}
    database.close()

    assert files == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}
    assert [place.name for place in database.places()] == ["new.db"]


def test_an_existing_file_is_never_overwritten_by_a_new_database(path: Path) -> None:
    before = path.read_bytes()

    with pytest.raises(UnavailableError, match="is already there; nothing was changed"):
        SqliteEngine(path, "data", LINES["data"], create=True)

    assert path.read_bytes() == before


def test_a_database_in_a_missing_folder_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"cannot make .*: No such file or directory; check the disk"):
        SqliteEngine(tmp_path / "nowhere" / "new.db", "data", LINES["data"], create=True)


def missing(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def text_file(path: Path) -> None:
    path.write_bytes(b"this is a shopping list, and a long one: " + b"milk, " * 200)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE shopping (item TEXT)")


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8192])


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


def without_revision(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM alembic_version")
        connection.commit()


UNUSABLE = {
    "missing": (missing, UnavailableError, "there is no some.db in .*; run 'volens init', or 'volens restore'"),
    "a folder": (a_folder, UnavailableError, "there is no some.db"),
    "text": (text_file, TamperError, "integrity: some.db is not a database; restore it from a backup"),
    "empty": (empty, TamperError, "integrity: some.db is no Volens file"),
    "another program's": (another_database, TamperError, "integrity: some.db is no Volens file"),
    "without a revision": (without_revision, TamperError, "integrity: some.db is no Volens file"),
    "damaged": (damaged, TamperError, "integrity: some.db is damaged; restore it from a backup"),
    "cut off": (cut_off, TamperError, "integrity: some.db is damaged; restore it from a backup"),
    "newer": (
        newer,
        UnavailableError,
        r"written by a newer Volens \(schema '9999', .* up to 'baseline'\); upgrade Volens",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(path: Path, case: str) -> None:
    spoil, kind, words = UNUSABLE[case]
    spoil(path)

    with pytest.raises(VolensError, match=words) as caught:
        SqliteEngine(path, "data", LINES["data"])

    assert type(caught.value) is kind


@pytest.mark.parametrize("case", ["text", "another program's", "newer"])
def test_a_file_that_cannot_be_used_is_not_changed(path: Path, case: str) -> None:
    UNUSABLE[case][0](path)

    def content() -> str:
        with closing(sqlite3.connect(path)) as connection:
            return "\n".join(connection.iterdump())

    before = path.read_bytes() if case == "text" else content()

    with pytest.raises(VolensError, match=r"some\.db"):
        SqliteEngine(path, "data", LINES["data"])

    assert (path.read_bytes() if case == "text" else content()) == before


def test_a_write_to_a_read_only_file_is_refused_with_the_reason(path: Path) -> None:
    # Root may write to files without write permission, so SQLite itself must refuse.
    database = SqliteEngine(path, "data", LINES["data"])

    def write() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
            connection.execute(text("DELETE FROM zone"))

    with pytest.raises(UnavailableError, match=r"some.db cannot be written; make the file and its folder writable"):
        write()
    database.close()


def test_a_file_is_locked_while_another_connection_writes(path: Path) -> None:
    with lock_timeout(0.01), closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match=r"some.db is locked by another process; try again"):
            SqliteEngine(path, "data", LINES["data"])
        other.execute("ROLLBACK")
        database = SqliteEngine(path, "data", LINES["data"])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match=r"some.db is locked by another process; try again"):
            database.write().__enter__()  # the lock is taken at once, not at the first change
        with database.read() as connection:
            assert connection.scalar(text("SELECT count(*) FROM zone")) == 0
    database.close()


PRAGMAS = {
    "foreign_keys": 1,
    "secure_delete": 1,
    "journal_mode": "wal",
    "synchronous": 2,
    "temp_store": 2,
    "cell_size_check": 1,
    "trusted_schema": 0,
}


def test_every_connection_has_our_pragmas(database: SqliteEngine) -> None:
    with database.read() as first, database.read() as second, database.write() as third, database._raw() as (fourth, _):
        for pragma, value in PRAGMAS.items():
            query = f"PRAGMA {pragma}"
            said = [one.exec_driver_sql(query).scalar() for one in (first, second, third)]
            assert [*said, fourth.execute(query).fetchone()[0]] == [value] * 4, pragma


CANARY = "canaryinthecoalm"
_AT = "'2099-01-01T00:00:00Z'"
PROCESS = f"INSERT INTO process VALUES ('{CANARY}', {_AT}, {_AT}, 0, 0, 0, '1', '1', NULL, NULL, NULL, NULL)"  # noqa: S608
ZONE = "INSERT INTO zone VALUES (:name, 'operator', 'why', 'badge', 1, '2099-01-01T00:00:00Z', 90, 'none', 'allowed')"


def zones(database: SqliteEngine) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(text("SELECT purpose FROM zone ORDER BY purpose")))


def two_zones_and(database: SqliteEngine, error: BaseException | None) -> None:
    with database.write() as connection:
        connection.execute(text(ZONE), {"name": "one"})
        connection.execute(text(ZONE), {"name": "two"})
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), TamperError("no")])
def test_a_transaction_is_rolled_back_whole_on_an_exception(database: SqliteEngine, error: BaseException) -> None:
    with pytest.raises(type(error)):
        two_zones_and(database, error)
    assert zones(database) == []

    two_zones_and(database, None)
    assert zones(database) == ["one", "two"]


def test_a_broken_rule_is_reported_without_the_values(database: SqliteEngine) -> None:
    two_zones_and(database, None)
    with database.write() as connection:
        connection.execute(text(ZONE), {"name": "canary"})
    with pytest.raises(IntegrityError) as caught, database.write() as connection:
        connection.execute(text(ZONE), {"name": "canary"})

    assert "zone is not replaced" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert zones(database) == ["canary", "one", "two"]


def test_a_reader_sees_one_snapshot(database: SqliteEngine) -> None:
    with database.read() as connection:
        count = text("SELECT count(*) FROM zone")
        assert connection.scalar(count) == 0
        two_zones_and(database, None)
        assert connection.scalar(count) == 0
    assert len(zones(database)) == 2


NAMES: Final = PreparedQuery(select(func.count()).select_from(schema.zone))


def test_a_value_is_read_as_committed_now_and_leaves_no_lock(database: SqliteEngine) -> None:
    assert database.read_value(NAMES) == 0
    two_zones_and(database, None)
    assert database.read_value(NAMES) == 2
    with database.write() as connection:
        connection.execute(text(ZONE), {"name": "three"})
        assert database.read_value(NAMES) == 2
    assert database.read_value(NAMES) == 3
    assert database.scrub().complete  # which a reader would prevent


def test_values_are_read_by_many_threads_and_after_the_caches_were_dropped(database: SqliteEngine) -> None:
    two_zones_and(database, None)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: database.read_value(NAMES), range(200))) == {2}
    database.drop_caches()
    assert database.read_value(NAMES) == 2


def test_a_connection_in_use_when_the_caches_are_dropped_is_closed_on_return(database: SqliteEngine) -> None:
    with database.read() as connection:
        before = connection.connection.driver_connection
        assert isinstance(before, sqlite3.Connection)
        database.drop_caches()
        assert connection.execute(text("SELECT 1")).scalar() == 1, "a read that runs goes on"

    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        before.execute("SELECT 1")
    with database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_a_reader_of_values_in_use_when_the_caches_are_dropped_is_closed(
    database: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []
    value_of = SqliteEngine._value

    def dropping(self: SqliteEngine, query: PreparedQuery, connection: sqlite3.Connection, info: dict[Any, Any]) -> int:
        opened.append(connection)
        database.drop_caches()
        return int(value_of(self, query, connection, info))

    with monkeypatch.context() as patched:
        patched.setattr(SqliteEngine, "_value", dropping)
        assert database.read_value(NAMES) == 0

    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        opened[0].execute("SELECT 1")
    assert database.read_value(NAMES) == 0


def test_a_value_is_not_read_from_a_view_in_the_place_of_a_table(database: SqliteEngine, path: Path) -> None:
    assert database.read_value(NAMES) == 0
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("ALTER TABLE zone RENAME TO other_zone")
        other.execute("CREATE VIEW zone AS SELECT * FROM other_zone UNION ALL SELECT * FROM other_zone")

    with pytest.raises(TamperError, match=r"integrity: some\.db"):
        database.read_value(NAMES)


def test_a_value_is_not_read_from_a_file_that_was_moved_or_cannot_be_read(database: SqliteEngine, path: Path) -> None:
    assert database.read_value(NAMES) == 0
    path.rename(path.with_suffix(".away"))
    with pytest.raises(UnavailableError, match="was moved away or replaced while it is in use"):
        database.read_value(NAMES)


def test_the_write_ahead_log_is_cut_unless_a_reader_needs_it(path: Path, database: SqliteEngine) -> None:
    two_zones_and(database, None)
    wal = path.with_name("some.db-wal")
    assert wal.stat().st_size > 0
    assert database.scrub().complete
    assert wal.stat().st_size == 0

    impatient = SqliteEngine(path, "data", LINES["data"])
    with lock_timeout(0.01), database.read() as connection:
        connection.execute(text("SELECT * FROM zone")).all()
        with impatient.write() as other:
            other.execute(text(ZONE), {"name": "three"})
        left = impatient.scrub()
        assert not left.complete
        assert left.obstacle == "another process is reading some.db, whose write-ahead log cannot be cut"
        assert wal.stat().st_size > 0
    assert impatient.scrub().complete
    impatient.close()


def test_compact_removes_all_bytes_of_deleted_rows_and_keeps_the_others(path: Path) -> None:
    database = SqliteEngine(path, "data", LINES["data"])
    two_zones_and(database, None)
    with database.write() as connection:
        connection.execute(text(PROCESS))
    assert database.scrub().complete
    assert CANARY.encode() in path.read_bytes()
    with database.write() as connection:
        connection.execute(text("DELETE FROM process"))
    assert database.compact().complete

    assert CANARY.encode() not in path.read_bytes()
    assert zones(database) == ["one", "two"]
    database.close()


def test_secure_delete_leaves_no_bytes_of_a_deleted_row_without_compact(path: Path) -> None:
    database = SqliteEngine(path, "data", LINES["data"])
    with database.write() as connection:
        connection.execute(text(PROCESS))
    assert database.scrub().complete
    assert CANARY.encode() in path.read_bytes()
    with database.write() as connection:
        connection.execute(text("DELETE FROM process"))
    assert database.scrub().complete

    assert CANARY.encode() not in path.read_bytes()
    database.close()
