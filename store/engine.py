"""The storage engine protocol: what a database must do for a store.

Nothing outside an engine knows an SQL dialect, a driver, a file of the database or how deleted rows are scrubbed.
`volens.store.sqlite` and `volens.store.postgres` implement it, and `volens.store.engine_choice` says which one a site
uses. Why there is such a protocol: docs/adr/0033; what the second engine does otherwise: docs/adr/0084.

An engine promises:

1. One writer at a time. Code above reads the newest number of a table and writes the next one, in one `write`.
2. A read sees one snapshot: all of a committed `write`, or nothing of it.
3. A commit is on the disk when `write` returns.
4. Errors are `UnavailableError` (locked, full, missing, of a newer version) or `TamperError` (damaged). A broken rule
   of the schema is SQLAlchemy's `IntegrityError`. No message has a value that was written.
5. It opens, and begins a transaction, only if the schema (tables, indexes, rules) is exactly the one that this version
   makes from its declarations, or one that its `SchemaRollout` expects; otherwise TamperError. An engine may rely on a
   comparison that is at most a second old.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, final

from sqlalchemy import Connection, Table

from volens.store.files.file_place import ReadAt
from volens.store.prepared_query import PreparedQuery, ReadSnapshot

Rows: TypeAlias = list[tuple[Any, ...]]


class Place(Protocol):
    """Where an engine may keep bytes of a row: a file, a relation. An erasure searches all of them."""

    @property
    def name(self) -> str:
        """What certificates call it."""
        ...

    def size_bytes(self) -> int:
        """Return how much there is to read; OSError if it is gone."""
        ...

    def reading(self) -> AbstractContextManager[ReadAt]:
        """Open it for reading; OSError if it cannot be read, FileNotFoundError if it is gone."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Scrubbed:
    """The result of a scrub.

    Attributes:
        obstacle: why bytes of deleted rows may be left, as the subject and verb of a sentence; empty if none are.
    """

    obstacle: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing is left of deleted rows in the places of the engine."""
        return not self.obstacle


@final
@dataclass(frozen=True, slots=True)
class ExpectedCatalogue:
    """What the catalogue of a database must be during a rollout.

    Attributes:
        sha256s: of its entries, as the engine counts them: one of these.
        extends_ours: it is of a later release, so every rule that this release declares must be in it.
    """

    sha256s: frozenset[bytes]
    extends_ours: bool


class SchemaRollout(Protocol):
    """Decides about the revision of a schema while two releases use one database; see `volens.store.rollout`."""

    def target(self, current: str, connection: Connection) -> str | None:
        """Return the revision to bring the database to; the current one if it stays; None if it is not known."""
        ...

    def is_expansion(self, revision: str) -> bool:
        """Return whether a revision of this release only adds."""
        ...

    def expected(self, engine: str, revision: str) -> ExpectedCatalogue | None:
        """Return what an expanded catalogue must be; None if only the declared schema is good."""
        ...

    def is_newer(self, revision: str) -> bool:
        """Return whether a revision is of a newer release and was not announced."""
        ...

    def announce(self, revision: str, extends: str, digest: bytes) -> None:
        """Tell other releases the catalogue of a revision, before it is committed.

        `extends` is the revision that it expands, or the same one if a release found exactly what it declares.
        """
        ...

    def was_found(self, revision: str, digest: bytes) -> bool:
        """Return whether a release announced that it found this catalogue, and that it is what it declares."""
        ...


class ChangeSignal(Protocol):
    """A connection on which a database signals commits; `volens.store.change_waiter` waits for it."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with a signal."""
        ...

    def drain(self) -> None:
        """Take the signals that have arrived; UnavailableError if the connection is lost."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class RemoteDatabase(Protocol):
    """What an engine can do besides if the database is on a server, where each read is a round trip."""

    def read_after(
        self, other: "RemoteDatabase", first: PreparedQuery, query: PreparedQuery, values: Mapping[str, object]
    ) -> tuple[Rows, Rows]:
        """Return the rows of a query without parameters of `other`, and those of a query of this database.

        Both are as committed at times between call and return, and cost one round trip: one message if both are
        schemas of one database, and then the first is answered first; otherwise both are asked before either answer is
        waited for.

        Raises:
            UnavailableError: a server does not answer, or is a standby, whose answers may be old.
        """
        ...

    def clock_ms(self) -> int:
        """Return the time by the clock of the server, in milliseconds since 1970: one round trip.

        Raises:
            UnavailableError: the database does not answer.
        """
        ...

    def signal(self) -> ChangeSignal:
        """Return a signal of what is committed from now on: entries of the log, new keys.

        A signal may be lost, and says nothing of what has changed.

        Raises:
            UnavailableError: the database does not answer.
        """
        ...


class StoreEngine(Protocol):
    """One open database."""

    @property
    def revision(self) -> str:
        """The revision of the schema at the opening."""
        ...

    @property
    def name(self) -> str:
        """What errors call the database."""
        ...

    @property
    def remote(self) -> RemoteDatabase | None:
        """What it can do on a server; None for a file: reads are cheap, and other processes are found by polling."""
        ...

    @property
    def attached(self) -> dict[str, Any]:
        """What code above keeps with the engine, and finds again from each of its connections."""
        ...

    @property
    def advice(self) -> Mapping[str, str]:
        """What an operator does about damaged rows, by what is damaged; transactions add it to `DamagedDataError`."""
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """Read in one consistent snapshot."""
        ...

    def read_prepared(self) -> AbstractContextManager[ReadSnapshot]:
        """Read in one consistent snapshot, with prepared queries only; cheaper than `read`."""
        ...

    def read_each(self) -> AbstractContextManager[ReadSnapshot]:
        """Read with prepared queries that need not be of one snapshot; cheaper than `read_prepared` on a server.

        Each is as committed when it runs, and is one round trip.
        """
        ...

    def read_value(self, query: PreparedQuery) -> Any:  # noqa: ANN401  whatever the column has
        """Return the one value of a query without parameters, as committed now: the cheapest read."""
        ...

    def write(self, *, wait: bool = True) -> AbstractContextManager[Connection]:
        """Write in one transaction, which holds the write lock from its beginning: committed whole, or not at all.

        With `wait=False`, raise UnavailableError at once if another process holds the write lock: an optional write
        must not delay a door.
        """
        ...

    def next_id(self, connection: Connection, table: Table) -> int:
        """Return an id that no row of a table ever had. The caller inserts a row with it in the same `write`."""
        ...

    def last_id(self, connection: Connection, table: Table) -> int:
        """Return the highest id that the database has given out for a table; 0 for none, or if it does not count."""
        ...

    def skip_ids(self, connection: Connection, table: Table, count: int) -> None:
        """Never give out the next `count` ids of a table."""
        ...

    def scrub(self) -> Scrubbed:
        """Remove what is left of deleted rows in the places of the engine; see `describe_scrub`."""
        ...

    def compact(self) -> Scrubbed:
        """Rewrite the database without free space, and scrub it. If a scrub is not complete, nothing is rewritten."""
        ...

    def drop_caches(self) -> None:
        """Overwrite what the memory of this process may hold of deleted rows; what a thread uses now, when it ends."""
        ...

    def copy_to(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Write one consistent snapshot into a new file (0600) while others read and write; it is not synced yet.

        Nothing of a deleted row is in the copy. `progress` gets how many bytes are written, of about how many.
        """
        ...

    def read_copy(self, path: Path) -> AbstractContextManager[Connection]:
        """Read a file that `copy_to` wrote; it is not changed, and nothing is made next to it."""
        ...

    def sound(self, connection: Connection) -> bool:
        """Return whether storage and foreign keys are undamaged. Cost: reads the whole database."""
        ...

    def check_rules(self, connection: Connection) -> None:
        """Prove, by trying it, that the database refuses what the types refuse; leaves nothing behind.

        At every opening the schema is compared instead (promise 5); tests and `volens doctor` call this, to show that
        these rules, in the database software of this machine, do what they are for.

        Raises:
            TamperError: it accepts something forbidden.
        """
        ...

    def places(self) -> list[Place]:
        """Return every place that may hold bytes of a row, for an erasure to search."""
        ...

    def describe_scrub(self, databases: int = 1) -> str:
        """Return what `scrub` does to deleted rows in so many databases, for certificates: the rows are ..."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...

    def discard(self) -> None:
        """Remove a database that was made just now, because something after it failed."""
        ...
