"""One SQLite file: the pragmas we rely on, migrations, immediate write transactions, errors in our own words."""

import os
import sqlite3
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from volens.consent import TamperError, UnavailableError
from volens.store.files import live_files
from volens.store.files.freed_memory import overwritten

BUSY_TIMEOUT_S: Final = 5.0
NO_WAIT_S: Final = 0.02
_WRITE: Final = "volens_write"
_NO_WAIT: Final = "volens_hurried"
_SIZE: Final = ("page_count", "page_size")
_TICK_INSTRUCTIONS: Final = 10_000
_PRAGMAS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a stop that was answered must survive a power cut
    "PRAGMA temp_store = MEMORY",  # nothing sealed or unsealed in temporary files
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)


@final
class Database:
    """An SQLite file and its write-ahead log.

    Args:
        path: the file; its folder exists.
        revisions: the schema's revisions, oldest first; the last is the one this version writes.
        create: make the file (0600) if it is not there.

    Raises:
        UnavailableError: missing, locked, read-only, full, or written by a newer version.
        TamperError: the file is not a database, or damaged.
    """

    def __init__(self, path: Path, migrations: str, revisions: tuple[str, ...], *, create: bool = False) -> None:
        """Open the file, or make it, and migrate it."""
        self.path = path
        self._migrations = migrations
        self._revisions = revisions
        if create:
            _create_private(path)
        elif not path.is_file():
            raise UnavailableError(f"there is no {path.name} in {path.parent}; run 'volens init', or restore the file")
        self._file = live_files.identity_of(path)
        if self._file is not None:
            live_files.opened(self._file)
        self._is_open = True
        self._engine = _engine(path)
        try:
            with self.write() as connection:
                self._migrate(connection, create=create)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Read in one consistent snapshot."""
        self._must_be_in_place()
        with _translated(self.path), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def glance(self) -> Generator[sqlite3.Connection]:
        """Read one consistent snapshot, with `PreparedQuery` queries only; costs a quarter of `read`."""
        self._must_be_in_place()
        with _translated(self.path), self._raw() as connection:
            connection.execute("BEGIN").close()
            yield connection  # given back to the pool, which ends the transaction

    @contextmanager
    def write(self, *, wait: bool = True) -> Generator[Connection]:
        """Write in one transaction that takes the write lock at once: committed whole or not at all.

        With `wait=False` it waits for the lock `NO_WAIT_S` at most: an optional write must not delay a door.
        """
        self._must_be_in_place()
        with (
            _translated(self.path),
            self._engine.connect().execution_options(**{_WRITE: True, _NO_WAIT: not wait}) as connection,
            connection.begin(),
        ):
            yield connection

    def truncate_wal(self) -> bool:
        """Copy the write-ahead log into the file and cut it to nothing; False if a reader still needs it."""
        self._must_be_in_place()
        with _translated(self.path), self._raw() as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def forget(self) -> None:
        """Close the connections that nobody uses just now, so that what they remember of deleted rows is overwritten.

        SQLite keeps pages and the values last written, the wrapped secret of the last newcomer among them, in memory.
        """
        with overwritten():
            self._engine.dispose()

    def vacuum(self) -> None:
        """Rewrite the file without free space, and with it what deleted rows may have left in pages."""
        with _translated(self.path), self._raw() as connection:
            connection.execute("VACUUM")

    def copy_to(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Write one consistent snapshot into a new file (0600) while others read and write; it is not synced yet.

        The copy is compact: written row by row, so no page of it has anything of a row that was deleted.

        Args:
            path: the new file.
            progress: called with how many bytes are written, of about how many.
        """
        _create_private(path)
        with _translated(self.path), self._raw() as connection:
            ((pages,), (page_bytes,)) = (connection.execute(f"PRAGMA {one}").fetchone() for one in _SIZE)
            total = pages * page_bytes

            def tick() -> None:
                progress(min(path.stat().st_size, total), total)

            connection.set_progress_handler(tick, _TICK_INSTRUCTIONS)
            try:
                connection.execute("VACUUM INTO ?", (str(path),))
            finally:
                connection.set_progress_handler(None, 0)
        progress(total, total)

    def files(self) -> list[Path]:
        """Return the file and those SQLite keeps beside it, as far as they exist."""
        return [p for suffix in ("", "-wal", "-shm", "-journal") if (p := Path(f"{self.path}{suffix}")).exists()]

    def close(self) -> None:
        """Give back every connection; SQLite then removes the write-ahead log."""
        self._engine.dispose()
        if self._is_open and self._file is not None:
            live_files.closed(self.path, self._file)
        self._is_open = False

    def _must_be_in_place(self) -> None:
        """Refuse a file that was moved away or replaced while it is open.

        SQLite would go on with the file it has open, wherever that is now, and make an empty one under the old name for
        the next connection. A secret would then be deleted in one file and live on in another.
        """
        if live_files.identity_of(self.path) != self._file:
            raise UnavailableError(
                f"{self.path.name} was moved away or replaced while it is in use; put it back, or start again with the "
                "new one"
            )

    @contextmanager
    def _raw(self) -> Generator[sqlite3.Connection]:
        pooled = self._engine.raw_connection()
        try:
            connection = pooled.driver_connection
            if not isinstance(connection, sqlite3.Connection):
                raise TypeError("this file is not opened through sqlite3")
            yield connection
        finally:
            pooled.close()

    def _migrate(self, connection: Connection, *, create: bool) -> None:
        current = _revision(connection)
        if current == self._revisions[-1]:
            return
        if current is None and not create:
            raise TamperError(f"integrity: {self.path.name} is no Volens file; restore it from a backup")
        if current is not None and current not in self._revisions:
            raise UnavailableError(
                f"{self.path.name} was written by a newer Volens (schema {current[:40]!r}, this one knows up to "
                f"{self._revisions[-1]!r}); upgrade Volens"
            )
        from volens.store.sqlite.migrations import upgrade  # noqa: PLC0415  Alembic costs 0.2 s, needed once in a file's life

        upgrade(connection, self._migrations)


@contextmanager
def reading_copy(path: Path) -> Generator[Connection]:
    """Read a file that nobody writes, as it is: nothing is made beside it, and no lock is taken."""
    engine = create_engine(
        f"sqlite:///file:{quote(str(path.resolve()))}?immutable=1&uri=true", poolclass=NullPool, hide_parameters=True
    )
    with _translated(path), engine.begin() as connection:
        yield connection


def _revision(connection: Connection) -> str | None:
    known = connection.scalar(text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"))
    return connection.scalar(text("SELECT version_num FROM alembic_version")) if known else None


def _create_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IRUSR | stat.S_IWUSR))
    except FileExistsError:
        raise UnavailableError(f"{path} is already there; nothing was changed") from None
    except OSError as error:
        raise UnavailableError(
            f"cannot make {path}: {error.strerror}; check the disk and the folder's rights"
        ) from None


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=4,
        hide_parameters=True,  # an error message must not carry what was written
        # isolation_level None: sqlite3 begins nothing by itself, `_on_begin` does.
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in _PRAGMAS:
            connection.execute(pragma).close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        begin = "BEGIN IMMEDIATE" if options.get(_WRITE, False) else "BEGIN"
        if not options.get(_NO_WAIT, False):
            connection.exec_driver_sql(begin)
            return
        try:
            _wait(connection, NO_WAIT_S)
            connection.exec_driver_sql(begin)
        finally:
            _wait(connection, BUSY_TIMEOUT_S)

    return engine


def _wait(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


_SAID: Final[dict[int, tuple[type[UnavailableError] | type[TamperError], str]]] = {
    sqlite3.SQLITE_BUSY: (UnavailableError, "is locked by another process; try again when it is done"),
    sqlite3.SQLITE_LOCKED: (UnavailableError, "is locked by another process; try again when it is done"),
    sqlite3.SQLITE_FULL: (
        UnavailableError,
        "could not be written, the disk is full; this step was not done, make room",
    ),
    sqlite3.SQLITE_IOERR: (UnavailableError, "could not be read or written; this step was not done, check the disk"),
    sqlite3.SQLITE_READONLY: (UnavailableError, "cannot be written; make the file and its folder writable"),
    sqlite3.SQLITE_CANTOPEN: (UnavailableError, "cannot be opened; check the folder and its rights"),
    sqlite3.SQLITE_PERM: (UnavailableError, "cannot be opened; check the folder and its rights"),
    sqlite3.SQLITE_NOTADB: (TamperError, "is not a database; restore it from a backup"),
    sqlite3.SQLITE_CORRUPT: (TamperError, "is damaged; restore it from a backup"),
}


@contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        original: Any = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(original, "sqlite_errorcode", None)
        said = _SAID.get(code & 0xFF) if isinstance(code, int) else None
        if str(original).startswith("Could not decode to UTF-8"):  # sqlite3 itself, without a code
            said = _SAID[sqlite3.SQLITE_CORRUPT]
        if said is None:
            raise
        kind, what = said
        prefix = "integrity: " if kind is TamperError else ""
        raise kind(f"{prefix}{path.name} {what}") from None
