"""`PostgresEngine`: one schema of a PostgreSQL database, with a write lock, and reads of one snapshot."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError

from volens.consent import UnavailableError
from volens.store.engine import Place, SchemaRollout, Scrubbed, StoreEngine
from volens.store.files.freed_memory import overwritten
from volens.store.postgres.database_url import DatabaseUrl
from volens.store.postgres.left_schema import remove_schema
from volens.store.postgres.postgres_catalogue import fingerprint
from volens.store.postgres.postgres_connections import (
    BEGIN,
    LOCK_TIMEOUT_S,
    READ,
    SERVER_START,
    TRANSACTION_ID,
    pooled_engine,
)
from volens.store.postgres.postgres_errors import is_lost, meant, translated
from volens.store.postgres.postgres_remote import PostgresRemote, RemoteReads
from volens.store.postgres.postgres_schema import PostgresSchema, check_server
from volens.store.postgres.postgres_self_check import check_refusals
from volens.store.postgres.postgres_snapshot import PostgresSnapshot, driver_of
from volens.store.prepared_query import PreparedQuery
from volens.store.recovery_advice import ON_SERVER
from volens.store.row_copy import copy_ids, copy_rows
from volens.store.schema.schema_lines import METADATA

CHECK_EVERY_S: Final = 1.0
"""How old the last comparison of the schema may be when a transaction begins."""
SETTLE_S: Final = 5.0
"""For how long the server is asked whether a transaction was committed."""
_ASK_EVERY_S: Final = 0.1
_LOCKS: Final = {"data": 0x766F6C01, "keyring": 0x766F6C02}
_IN_DOUBT: Final = (
    "the connection to {name} was lost while a change was being confirmed, and its server does not answer yet; "
    "look whether the change was made before you do it again"
)

Files = Callable[..., StoreEngine]
"""Opens a file with SQLite, as `SqliteEngine` does: copies of a database are such files."""


@final
class PostgresEngine:
    """`StoreEngine` over one schema of a PostgreSQL database.

    One writer at a time: `write` takes an advisory lock of the schema in its first round trip. `revisions` are listed
    oldest first, and this version writes the last. With `create`, the schema is made, and `fill` inserts rows before
    there are rules. An older schema is upgraded under the lock. It is compared with the declared one, or one that
    `rollout` expects, at the opening, and whenever its definitions changed, which is looked at once in `CHECK_EVERY_S`.

    A connection that was lost is replaced once, before a transaction has done anything. If it is lost while a
    transaction is committed, the server is asked whether it was.

    Raises:
        UnavailableError: no answer, locked, read-only, full, no rights, or written by a newer version; or an older one
            serves.
        TamperError: the schema is not the one of this version, or is damaged.
        RefusedError: see `SchemaRollout.target`.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        line: str,
        revisions: tuple[str, ...],
        files: Files,
        *,
        create: bool = False,
        fill: Callable[[Connection], None] | None = None,
        rollout: SchemaRollout | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._monotonic, self._sleep = monotonic, sleep
        self._files = files
        self._line = line
        self._revisions = revisions
        self._schema = PostgresSchema(self.name, line, url.schema, revisions, rollout)
        self.attached: dict[str, Any] = {}
        self._engine = pooled_engine(url, self.attached)
        self.remote = PostgresRemote(url, self._new_reader, self._is_due, self._check_against)
        self._compared: str | None = None
        self._compared_at = -float("inf")
        try:
            with translated(self.name):
                if create:
                    options = {BEGIN: "BEGIN"}
                    with self._engine.connect().execution_options(**options) as connection, connection.begin():
                        self._schema.make(connection, fill)
                self.revision = self._upgrade()
                with self._engine.connect() as connection:
                    check_server(connection, self.name)
                self._schema.remember(self.revision, self._compare())
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The database and schema, without its address."""
        return self.url.name

    @property
    def advice(self) -> Mapping[str, str]:
        """What to do about damaged rows."""
        return ON_SERVER

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Read in one consistent snapshot."""
        with translated(self.name), self._begun(READ) as connection:
            self._check(connection)
            yield connection

    @contextmanager
    def read_prepared(self) -> Generator[PostgresSnapshot]:
        """Read in one consistent snapshot, with prepared queries only."""
        with translated(self.name), self._begun(READ) as connection:
            self._check(connection)
            yield PostgresSnapshot(driver_of(connection.connection), self.attached)

    @contextmanager
    def read_each(self) -> Generator[RemoteReads]:
        """Read with prepared queries, each in one round trip."""
        yield RemoteReads(self.remote, self.attached)

    def read_value(self, query: PreparedQuery) -> Any:  # noqa: ANN401  whatever the column has
        """Return the one value of a query without parameters, as committed now: one round trip."""
        ((value,),) = self.remote.read(query, {})
        return value

    @contextmanager
    def write(self, *, wait: bool = True) -> Generator[Connection]:
        """Write in one transaction that takes the write lock at once: committed whole, or not at all."""
        with translated(self.name), self._begun(self._begin_to_write(wait=wait)) as connection:
            self._check(connection)
            yield connection

    def next_id(self, connection: Connection, table: Table) -> int:
        """Return an id of the table's sequence, which gives none twice."""
        return int(connection.scalar(text("SELECT nextval(CAST(:of AS regclass))"), {"of": _sequence(table)}) or 0)

    def last_id(self, connection: Connection, table: Table) -> int:
        """Return the highest id of the table's sequence."""
        used = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {_sequence(table)}")  # noqa: S608  names of our own
        return int(connection.scalar(used) or 0)

    def skip_ids(self, connection: Connection, table: Table, count: int) -> None:
        """Never give out the next `count` ids of a table."""
        skip = text("SELECT count(nextval(CAST(:of AS regclass))) FROM generate_series(1, :count)")
        connection.execute(skip, {"of": _sequence(table), "count": count})

    def scrub(self) -> Scrubbed:
        """Let the server forget dead rows as far as a client can: vacuum. What it keeps is in `describe_scrub`."""
        with translated(self.name), self._alone() as connection:
            return self._rewritten(connection, "VACUUM")

    def compact(self) -> Scrubbed:
        """Rewrite every table without the bytes of deleted rows."""
        with translated(self.name), self._alone() as connection:
            return self._rewritten(connection, "VACUUM FULL")

    def drop_caches(self) -> None:
        """Close the idle connections, so that what the driver holds of deleted rows is overwritten."""
        with overwritten():
            self.remote.close()
            self._engine.dispose()

    def copy_to(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Write one consistent snapshot into a new SQLite file; see `StoreEngine`."""
        metadata = METADATA[self._line]
        with self.read() as connection:

            def fill(target: Connection) -> None:
                copy_rows(connection, target, metadata, progress)

            with closing(self._files(path, self._line, self._revisions, create=True, fill=fill)) as copy:
                with copy.write() as written:
                    copy_ids(self, connection, copy, written, metadata)
                copy.compact()

    @contextmanager
    def read_copy(self, path: Path) -> Generator[Connection]:
        """Read a file that `copy_to` wrote."""
        with closing(self._files(path, self._line, self._revisions)) as copy, copy.read() as connection:
            yield connection

    def sound(self, connection: Connection) -> bool:
        """Read every row, whose pages the server then verifies if it has checksums, and count broken references."""
        for table in METADATA[self._line].sorted_tables:
            connection.execute(text(f"SELECT sum(length(CAST(one.* AS text))) FROM {table.name} AS one"))  # noqa: S608  names of our own
        broken = "SELECT count(*) FROM pg_constraint WHERE connamespace = CAST(:s AS regnamespace) AND NOT convalidated"
        failures = "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database WHERE datname = current_database()"
        return not connection.scalar(text(broken), {"s": self.url.schema}) and not connection.scalar(text(failures))

    def check_rules(self, connection: Connection) -> None:
        """Try everything forbidden; see `check_refusals`."""
        check_refusals(connection)

    def places(self) -> list[Place]:
        """Return nothing: a client cannot read the files of the server."""
        return []

    def describe_scrub(self, databases: int = 1) -> str:
        """Return what `scrub` does, for certificates."""
        del databases
        return "deleted on the server, which was asked to vacuum its tables"

    def close(self) -> None:
        """Close every connection."""
        self.remote.close()
        self._engine.dispose()

    def discard(self) -> None:
        """Remove the schema with everything in it."""
        self.close()
        remove_schema(self.url)

    @contextmanager
    def _begun(self, begin: str) -> Generator[Connection]:
        """Begin a transaction with the first round trip, on another connection if the first one is lost."""
        connection = self._connected(begin)
        try:
            yield connection
            self._commit(connection)
        finally:
            connection.close()  # rolls back what was not committed

    def _connected(self, begin: str) -> Connection:
        for is_last in (False, True):
            connection = None
            try:
                connection = self._engine.connect().execution_options(**{BEGIN: begin})
                connection.begin()
            except DBAPIError as error:
                if connection is not None:
                    connection.close()
                if is_last or not is_lost(error):
                    raise
                self.remote.close()
                self._engine.dispose()
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            else:
                return connection
        raise AssertionError

    def _commit(self, connection: Connection) -> None:
        transaction = connection.get_transaction()
        if connection.invalidated:
            raise meant(self.name, psycopg.OperationalError("lost"))
        if transaction is None or not transaction.is_active:
            return  # the caller rolled it back
        if driver_of(connection.connection).info.transaction_status is TransactionStatus.INERROR:
            raise RuntimeError("a statement of this transaction was refused, so that it must end and not be committed")
        transaction_id, server_start = connection.info.get(TRANSACTION_ID), connection.info[SERVER_START]
        try:
            transaction.commit()
        except DBAPIError as error:
            if not is_lost(error):
                raise
            if transaction_id is not None:  # a read is complete without its end
                self._settle(transaction_id, server_start)

    def _settle(self, transaction_id: str, server_start: str) -> None:
        """Ask the server whether a transaction was committed whose answer was lost.

        A server that took over, or that was restarted, is not asked: it may have given the id to another transaction.

        Raises:
            UnavailableError: it was not committed, or the server does not tell.
        """
        self._engine.dispose()
        until = self._monotonic() + SETTLE_S
        while self._monotonic() < until:
            with suppress(DBAPIError), self._engine.connect() as connection, connection.begin():
                asked = text("SELECT pg_xact_status(CAST(:xid AS xid8))")
                status = connection.scalar(asked, {"xid": transaction_id})
                if connection.info[SERVER_START] != server_start:
                    break
                if status == "committed":
                    return
                if status == "aborted":
                    raise meant(self.name, psycopg.OperationalError("lost"))
            self._sleep(_ASK_EVERY_S)
        raise UnavailableError(_IN_DOUBT.format(name=self.name))

    def _check(self, connection: Connection) -> None:
        """Compare the schema again if its definitions changed; looked at once in `CHECK_EVERY_S`."""
        if self._is_due():
            self._check_against(fingerprint(connection, self.url.schema))

    def _is_due(self) -> bool:
        return self._monotonic() - self._compared_at >= CHECK_EVERY_S

    def _check_against(self, found: str) -> None:
        if found != self._compared:
            self._compare()
        self._compared_at = self._monotonic()

    def _compare(self) -> bytes:
        with self._engine.connect().execution_options(**{BEGIN: "BEGIN"}) as connection, connection.begin() as whole:
            before = fingerprint(connection, self.url.schema)
            digest = self._schema.check(connection)
            whole.rollback()
        self._compared, self._compared_at = before, self._monotonic()
        return digest

    def _upgrade(self) -> str:
        """Bring the schema to the revision on which this release works, and return that."""
        with self._begun(READ) as connection:
            current, wanted = self._schema.settle(connection)
        if wanted == current:
            return current
        with self._begun(self._begin_to_write()) as connection:
            current, wanted = self._schema.settle(connection)  # another node may have upgraded it meanwhile
            if wanted != current:
                self._schema.upgrade(connection, current, wanted)
        return wanted

    def _begin_to_write(self, *, wait: bool = True) -> str:
        lock, space = _LOCKS[self._line], f"hashtext('{self.url.schema}')"
        if wait:
            patience = f"SET LOCAL lock_timeout = {round(LOCK_TIMEOUT_S * 1000)}"
            taken = f"{patience}; SELECT pg_advisory_xact_lock({lock}, {space})"
        else:
            taken = f"SELECT pg_try_advisory_xact_lock({lock}, {space})"
        return f"BEGIN ISOLATION LEVEL READ COMMITTED; {taken}; SELECT pg_current_xact_id()::text"

    @contextmanager
    def _alone(self) -> Generator[psycopg.Connection[Any]]:
        """Return a connection outside transactions, closed afterwards."""
        connection = self._new_reader()
        try:
            yield connection
        finally:
            connection.close()

    def _rewritten(self, connection: psycopg.Connection[Any], how: str) -> Scrubbed:
        tables = ", ".join(one.name for one in METADATA[self._line].sorted_tables)
        try:
            connection.execute(f"{how} {tables}".encode())
        except psycopg.errors.LockNotAvailable:
            return Scrubbed(f"another process uses tables of {self.name}, which cannot be vacuumed")
        return Scrubbed()

    def _new_reader(self, is_fresh: bool = False) -> psycopg.Connection[Any]:  # noqa: FBT001,FBT002  of a callback
        """Take a connection out of the pool; with `is_fresh` none that is idle, as it may be lost."""
        if is_fresh:
            self._engine.dispose()
        pooled = self._engine.raw_connection()
        connection = driver_of(pooled.driver_connection)
        pooled.detach()
        return connection


def _sequence(table: Table) -> str:
    (column,) = table.primary_key
    return f"{table.name}_{column.name}_seq"
