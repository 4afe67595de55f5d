"""`SqliteEngine`: one SQLite file with its pragmas, migrations, immediate write transactions and write-ahead log."""

import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import quote

from sqlalchemy import Connection, Table, create_engine, event, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from volens.consent import TamperError, UnavailableError
from volens.store.engine import Place, SchemaRollout, Scrubbed
from volens.store.files import locked_files
from volens.store.files.file_place import FilePlace
from volens.store.files.freed_memory import overwritten
from volens.store.prepared_query import PreparedQuery
from volens.store.recovery_advice import ON_FILES
from volens.store.sqlite.catalogue import CatalogueCheck, check_catalogue, digest_of
from volens.store.sqlite.database_files import COMPANIONS, create_private, existing_files
from volens.store.sqlite.schema_revision import settle_revision
from volens.store.sqlite.self_check import check_refusals
from volens.store.sqlite.sqlite_connections import NO_WAIT, WRITE, pooled_engine
from volens.store.sqlite.sqlite_errors import translated
from volens.store.sqlite.sqlite_snapshot import SqliteSnapshot, keep_snapshots, value_statement

_DROPS: Final = "volens_drops"
_SIZE: Final = ("page_count", "page_size")
_TICK_INSTRUCTIONS: Final = 10_000


@final
class SqliteEngine:
    """`StoreEngine` over an SQLite file and its write-ahead log.

    `migrations` is the line of revisions; `revisions` are listed oldest first, and this version writes the last.
    With `create`, the file (0600) is made; its folder exists. `fill` then inserts rows, before there are rules. Each
    transaction begins with a look whether the schema is the one of this version, or one that `rollout` expects; see
    `CatalogueCheck`.

    Raises:
        UnavailableError: missing, locked, read-only, full, or written by a newer version.
        TamperError: the file is not a database, damaged, or its rules are not those of this version.
    """

    def __init__(
        self,
        path: Path,
        migrations: str,
        revisions: tuple[str, ...],
        *,
        create: bool = False,
        fill: Callable[[Connection], None] | None = None,
        rollout: SchemaRollout | None = None,
    ) -> None:
        self.remote: None = None
        self.path = path
        self._migrations = migrations
        if create:
            create_private(path)
        elif not path.is_file():
            raise UnavailableError(
                f"there is no {path.name} in {path.parent}; run 'volens init', or 'volens restore' with a backup"
            )
        self._identity = locked_files.identity_of(path)
        if self._identity is not None:
            locked_files.opened(self._identity, COMPANIONS)
        self._is_open = True
        self._readers: deque[tuple[sqlite3.Connection, dict[Any, Any]]] = deque()
        self._drops = 0
        self._catalogue = CatalogueCheck(path.name, migrations, rollout)
        self.attached: dict[str, Any] = {}
        self._engine = pooled_engine(path, self._catalogue, self.attached)
        event.listen(self._engine, "connect", self._on_connect)
        event.listen(self._engine, "checkin", self._on_return)
        try:
            with self._begun_to_write() as connection:
                before, self.revision = settle_revision(
                    connection, path.name, migrations, revisions, create=create, rollout=rollout, fill=fill
                )
                self._catalogue.check(*_driver(connection))
                _check_foreign_keys(connection)
                if rollout is not None and before not in {None, self.revision} and rollout.is_expansion(self.revision):
                    rollout.announce(self.revision, str(before), digest_of(_driver(connection)[0]))
            self._catalogue.on_connect = True
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.name

    @property
    def advice(self) -> Mapping[str, str]:
        """What to do about damaged rows."""
        return ON_FILES

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Read in one consistent snapshot."""
        self._check_in_place()
        with translated(self.path), self._engine.begin() as connection:
            self._catalogue.check(*_driver(connection))
            yield connection

    @contextmanager
    def read_prepared(self) -> Generator[SqliteSnapshot]:
        """Read in one consistent snapshot, with prepared queries only; costs a quarter of `read`."""
        self._check_in_place()
        with translated(self.path), self._raw() as (connection, info):
            connection.execute("BEGIN").close()
            self._catalogue.check(connection, info)
            # The pool ends the transaction when it gets the connection back.
            yield SqliteSnapshot(connection, self.attached)

    def read_each(self) -> AbstractContextManager[SqliteSnapshot]:
        """Read as `read_prepared`: more snapshots would cost more."""
        return self.read_prepared()

    def read_value(self, query: PreparedQuery) -> Any:  # noqa: ANN401  whatever the column has
        """Return the one value of a query without parameters, as committed now.

        On connections that are kept for this, outside the pool: checking one out costs more than the query (measured).
        """
        self._check_in_place()
        try:
            connection, info = self._readers.pop() if self._readers else self._new_reader()
            value = self._value(query, connection, info)
        except (IndexError, sqlite3.DatabaseError, DatabaseError):
            # An error, or another thread took the last one.
            with translated(self.path):
                connection, info = self._new_reader()
                value = self._value(query, connection, info)
        self._readers.append((connection, info))
        if info[_DROPS] != self._drops:
            self._close_readers()
        return value

    @contextmanager
    def write(self, *, wait: bool = True) -> Generator[Connection]:
        """Write in one transaction that takes the write lock at once: committed whole, or not at all.

        With `wait=False` it waits `NO_WAIT_S` at most for the lock: an optional write must not delay a door.
        """
        with self._begun_to_write(wait=wait) as connection:
            self._catalogue.check(*_driver(connection))
            yield connection

    def next_id(self, connection: Connection, table: Table) -> int:
        """Return an id that no row of an AUTOINCREMENT table ever had; the write lock keeps it free."""
        return self.last_id(connection, table) + 1

    def last_id(self, connection: Connection, table: Table) -> int:
        """Return the highest id of an AUTOINCREMENT table; 0 of another table."""
        last = connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table.name})
        return int(last or 0)

    def skip_ids(self, connection: Connection, table: Table, count: int) -> None:
        """Never give out the next `count` ids of an AUTOINCREMENT table."""
        known = {"table": table.name, "count": count}
        more = text("UPDATE sqlite_sequence SET seq = seq + :count WHERE name = :table")
        if not connection.execute(more, known).rowcount:
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :count)"), known)

    def scrub(self) -> Scrubbed:
        """Copy the write-ahead log into the file and truncate it; incomplete if a reader still needs the log."""
        self._check_in_place()
        with translated(self.path), self._raw() as (connection, _):
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return Scrubbed()
        return Scrubbed(f"another process is reading {self.name}, whose write-ahead log cannot be cut")

    def compact(self) -> Scrubbed:
        """Rewrite the file without free space, and with that what deleted rows may have left in pages.

        The log is truncated twice, because VACUUM writes through it and old frames must not remain behind the new.
        """
        before = self.scrub()
        if not before.complete:
            return before
        with translated(self.path), self._raw() as (connection, _):
            connection.execute("VACUUM")
        return self.scrub()

    def drop_caches(self) -> None:
        """Close the idle connections, so that what they cache of deleted rows is overwritten; the busy ones on return.

        SQLite caches pages and the values last written, such as the wrapped secret of the newest consent.
        """
        self._drops += 1
        with overwritten():
            self._close_readers()
            self._engine.dispose()

    def copy_to(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Write one consistent snapshot into a new file, row by row, so that it is compact; see `StoreEngine`."""
        create_private(path)
        with translated(self.path), self._raw() as (connection, _):
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

    @contextmanager
    def read_copy(self, path: Path) -> Generator[Connection]:
        """Read a file that no process writes, as it is: no file is made next to it, and no lock is taken."""
        where = f"sqlite:///file:{quote(str(path.resolve()))}?immutable=1&uri=true"
        engine = create_engine(where, poolclass=NullPool, hide_parameters=True)
        keep_snapshots(engine, {})
        with translated(path), engine.begin() as connection:
            check_catalogue(_driver(connection)[0], path.name, self._migrations, self._catalogue.rollout)
            yield connection

    def sound(self, connection: Connection) -> bool:
        """Check pages, the content of indexes, and foreign keys."""
        pages = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
        return pages == "ok" and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is None

    def check_rules(self, connection: Connection) -> None:
        """Try everything forbidden; see `check_refusals`."""
        check_refusals(connection)

    def places(self) -> list[Place]:
        """Return the file, and those that SQLite keeps next to it, as far as they exist."""
        return [FilePlace(one, one.name) for one in existing_files(self.path)]

    def describe_scrub(self, databases: int = 1) -> str:
        """Return what `secure_delete` and `scrub` do, for certificates."""
        return f"deleted and zeroed, write-ahead log{'s' if databases > 1 else ''} cut"

    def close(self) -> None:
        """Close every connection; SQLite then removes the write-ahead log."""
        self._close_readers()
        self._engine.dispose()
        was_open, self._is_open = self._is_open, False
        if was_open and self._identity is not None:
            locked_files.closed(self._identity)

    def discard(self) -> None:
        """Close the file, and remove it with what SQLite keeps next to it."""
        self.close()
        for one in existing_files(self.path):
            one.unlink(missing_ok=True)

    def _on_connect(self, _connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        record.info[_DROPS] = self._drops

    def _on_return(self, _connection: sqlite3.Connection | None, record: ConnectionPoolEntry) -> None:
        """Close a connection that was in use when the caches were dropped: it may cache what was deleted since.

        The pool would only forget it, and it would keep its cache until Python collects it.
        """
        if record.info.get(_DROPS) != self._drops:
            with overwritten():
                record.invalidate()

    def _value(self, query: PreparedQuery, connection: sqlite3.Connection, info: MutableMapping[Any, Any]) -> Any:  # noqa: ANN401  see `read_value`
        ((value, version),) = connection.execute(value_statement(query)).fetchall()
        if not self._catalogue.is_checked(version, info):
            connection.execute("BEGIN").close()
            self._catalogue.check(connection, info)
            ((value, _),) = connection.execute(value_statement(query)).fetchall()
            connection.execute("COMMIT").close()
        return value

    def _new_reader(self) -> tuple[sqlite3.Connection, dict[Any, Any]]:
        pooled = self._engine.raw_connection()
        connection, info = _checked_driver(pooled.driver_connection), dict(pooled.info)
        pooled.detach()
        return connection, info

    def _close_readers(self) -> None:
        with suppress(IndexError):
            while True:
                self._readers.pop()[0].close()

    def _check_in_place(self) -> None:
        """Refuse a file that was moved or replaced while it is open.

        SQLite would go on with the file that it has open, wherever that is now, and make an empty one under the old
        name for the next connection. A secret would then be deleted in one file and remain in another.
        """
        if locked_files.identity_of(self.path) != self._identity:
            raise UnavailableError(
                f"{self.name} was moved away or replaced while it is in use; put it back, or start again with the "
                "new one"
            )

    @contextmanager
    def _begun_to_write(self, *, wait: bool = True) -> Generator[Connection]:
        self._check_in_place()
        with (
            translated(self.path),
            self._engine.connect().execution_options(**{WRITE: True, NO_WAIT: not wait}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _raw(self) -> Generator[tuple[sqlite3.Connection, MutableMapping[Any, Any]]]:
        pooled = self._engine.raw_connection()
        try:
            yield _checked_driver(pooled.driver_connection), pooled.info
        finally:
            pooled.close()


def _driver(connection: Connection) -> tuple[sqlite3.Connection, MutableMapping[Any, Any]]:
    """Return the driver's connection, and the dictionary that the pool keeps for it."""
    return _checked_driver(connection.connection.driver_connection), connection.info


def _checked_driver(connection: object) -> sqlite3.Connection:
    if not isinstance(connection, sqlite3.Connection):
        raise TypeError("this file is not opened through sqlite3")
    return connection


def _check_foreign_keys(connection: Connection) -> None:
    if connection.exec_driver_sql("PRAGMA foreign_keys").scalar() != 1:
        raise TamperError("integrity: the database does not enforce its foreign keys; nothing may run on it")
