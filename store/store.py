"""An open store: data and keyring databases, and transactions whose audit log entries are signed before the commit."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self, final

from sqlalchemy import Connection, Table, insert, select

from volens.audit import Checkpoint, Event, VerifierKey, root
from volens.consent import ReceiptId, SiteId, TamperError, UnavailableError, format_time
from volens.consent.receipt import Controller
from volens.consent.times import whole_seconds
from volens.store.engine import Place, Scrubbed, StoreEngine
from volens.store.engine_choice import open_engine
from volens.store.keys.keyring import Keyring
from volens.store.keys.root_key.holder import RootKeySource
from volens.store.keys.secrets import Random, RootKey
from volens.store.log import audit_log
from volens.store.log.log_time import store_time
from volens.store.log.remembrance import remember, undone_ends
from volens.store.prepared_query import ReadSnapshot
from volens.store.schema import data_tables as tables

DATA_FILE: Final = "volens.db"
KEYRING_FILE: Final = "keyring.db"
TIME_CORRECTED: Final = "time.corrected"
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the system's time."""
    return datetime.now(UTC)


@final
@dataclass(frozen=True, slots=True)
class SiteRecord:
    """What the data file states about its site."""

    controller: Controller
    public_key: bytes
    created_at: datetime


@final
class Transaction:
    """One write transaction: rows and their audit leaves, committed together."""

    def __init__(self, store: "Store", connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self.random = store.random
        self._keyring = store.keyring
        self._origin = store.origin
        self._engine = store.data
        self._signed: Checkpoint | None = None
        self._start = audit_log.log_size(connection)

    def next_id(self, table: Table) -> int:
        """Return an id that no row of a table ever had; the caller inserts a row with it."""
        return self._engine.next_id(self.connection, table)

    def log(
        self,
        kind: str,
        details: Mapping[str, str | int],
        *,
        receipt_id: ReceiptId | None = None,
        at: datetime | None = None,
        ends_at: datetime | None = None,
    ) -> tuple[int, Event]:
        """Append an audit event, of now or of a time; see `audit_log.append`."""
        (entry,) = audit_log.append(
            self.connection, kind, at or self.now, [details], receipt_id=receipt_id, random=self.random, ends_at=ends_at
        )
        return entry

    def log_all(
        self, kind: str, many_details: Sequence[Mapping[str, str | int]], *, ends_at: datetime | None = None
    ) -> list[tuple[int, Event]]:
        """Append one audit event for each of `many_details`, about no consent in force; see `audit_log.append`."""
        return audit_log.append(
            self.connection, kind, self.now, many_details, receipt_id=None, random=self.random, ends_at=ends_at
        )

    def sign_log(self) -> tuple[Checkpoint, str]:
        """Sign the log's current head as a checkpoint, and store it."""
        head = audit_log.checkpoint(self.connection, self._origin)
        note = self._keyring.sign_checkpoint(head)
        audit_log.add_note(self.connection, head.size, note)
        self._signed = head
        return head, note

    def finish(self) -> bool:
        """Sign a checkpoint if leaves are not covered by one; return whether the log grew."""
        size = audit_log.log_size(self.connection)
        if size > self._start and (self._signed is None or self._signed.size < size):
            self.sign_log()
        return size > self._start


@final
class Store:
    """The store of one site. `open` checks that the databases have the rules of this version; `close` it when done.

    Attributes:
        folder: where the store is.
        data: the engine of the data file. Its own `write` neither signs nor remembers log entries: use `Store.write`.
        process_id: the id under which this process reports what it has applied; None if it does not (`ChangeFeed`).
    """

    def __init__(
        self,
        folder: Path,
        data: StoreEngine,
        keyring: Keyring,
        clock: Clock,
        random: Random,
        *,
        restoring: bool = False,
    ) -> None:
        self.folder = folder
        self.data = data
        self.keyring = keyring
        self.clock = clock
        self.random = random
        self.process_id: str | None = None
        self._restoring = restoring
        with data.read() as connection:
            row = connection.execute(select(tables.site)).one_or_none()
            self._newest_time = audit_log.newest_time(connection)
        if row is None:
            raise TamperError(f"integrity: {data.name} has no site; restore the data file")
        controller = Controller(SiteId(row.site_id), row.controller_name, row.controller_contact)
        self.site = SiteRecord(controller, row.public_key, row.created_at)

    @classmethod
    def create(cls, folder: Path, *, root_key: RootKey, controller: Controller, clock: Clock, random: Random) -> Self:
        """Make the two databases of a new store in an existing folder.

        Raises:
            UnavailableError: one is already there, or the disk refuses.
        """
        now = whole_seconds(clock())
        with ExitStack() as on_failure:
            keyring = Keyring.create(folder / KEYRING_FILE, controller.site_id, root_key, random)
            on_failure.callback(keyring.close)
            data = open_engine(folder / DATA_FILE, "data", tables.REVISIONS, create=True)
            on_failure.callback(data.close)
            with data.write() as connection:
                connection.execute(
                    insert(tables.site).values(
                        site_id=controller.site_id,
                        controller_name=controller.name,
                        controller_contact=controller.contact,
                        public_key=keyring.public_key,
                        created_at=now,
                    )
                )
            store = cls(folder, data, keyring, clock, random)
            with store.write() as tx:
                tx.log("site.created", {"site_id": controller.site_id})
            on_failure.pop_all()
            return store

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        root_key: RootKey | RootKeySource,
        clock: Clock,
        random: Random,
        restoring: Path | None = None,
    ) -> Self:
        """Open a store.

        1. Keyring and data file open, with the schema of this version, and belong to one site.
        2. Rollback protection: the audit log contains the log that the keyring remembers, and no consent is in force
           that the keyring knows to have ended. So the data file is not an older one.

        `restoring` names the data file that a restore works on, instead of the folder's. Then step 2 is left out:
        `volens.store.backup.restore` adds what the file lacks before any other process opens it.

        Raises:
            UnavailableError: a file is missing, locked, read-only, or of a newer version.
            TamperError: 1 or 2 does not hold.
        """
        # 1.
        with ExitStack() as on_failure:
            keyring = Keyring.open(folder / KEYRING_FILE, root_key)
            on_failure.callback(keyring.close)
            data = open_engine(restoring or folder / DATA_FILE, "data", tables.REVISIONS)
            on_failure.callback(data.close)
            store = cls(folder, data, keyring, clock, random, restoring=restoring is not None)
            if keyring.site_id != store.site.controller.site_id or keyring.public_key != store.site.public_key:
                raise TamperError(
                    "integrity: keyring and data file are of different sites; use the two that belong together"
                )
            # 2.
            if restoring is None:
                with data.write() as connection:
                    store._check_head(connection)
            on_failure.pop_all()
            return store

    @property
    def verifier_key(self) -> VerifierKey:
        """The site's public key under the log's name: with it anyone can verify certificates and the log."""
        return VerifierKey(self.origin, self.site.public_key)

    @property
    def origin(self) -> str:
        """The name (origin) of the log."""
        return f"volens/{self.site.controller.site_id}"

    def now(self) -> datetime:
        """Return the current time, UTC, whole seconds; never before the newest log entry that this process has seen.

        Raises:
            UnavailableError: the clock is too far behind that entry; see `store_time`.
        """
        return store_time(whole_seconds(self.clock()), self._newest_time)

    def note_newest_time(self, connection: Connection | ReadSnapshot) -> None:
        """Read the time of the newest log entry, which another process may have written."""
        self._newest_time = audit_log.newest_time(connection)

    def correct_time(self) -> tuple[datetime | None, datetime]:
        """Go on with the clock's time although the newest log entry is later, and log that; return both times.

        For a clock that was ahead, and is right again. Terms that seemed to be over may then run again.
        """
        newest, clock = self._newest_time, whole_seconds(self.clock())
        if newest is not None and newest > clock:
            with self.write(at=clock) as tx:
                tx.log(TIME_CORRECTED, {"from": format_time(newest), "to": format_time(clock)})
        return newest, clock

    def read(self) -> AbstractContextManager[Connection]:
        """Read in one consistent snapshot."""
        return self.data.read()

    def read_prepared(self) -> AbstractContextManager[ReadSnapshot]:
        """Read in one consistent snapshot, with `PreparedQuery` queries only; see `StoreEngine.read_prepared`."""
        return self.data.read_prepared()

    @contextmanager
    def write(self, *, wait: bool = True, at: datetime | None = None) -> Generator[Transaction]:
        """Write in one transaction. Its log entries are signed before the commit; then the keyring remembers them.

        With `wait=False`, raise at once if another process holds the write lock; see `StoreEngine.write`. `at` is for
        `correct_time` only.

        Raises:
            TamperError: the data file was replaced by an older one while it was in use.
            UnavailableError: the clock is too far behind the newest log entry; see `now`.
        """
        with self.data.write(wait=wait) as connection:
            if not self._restoring and audit_log.log_size(connection) < (known := self.keyring.head().size):
                # Otherwise the log would fork: different entries under the same numbers.
                raise TamperError(_older(audit_log.log_size(connection), known))
            self.note_newest_time(connection)
            tx = Transaction(self, connection, at or self.now())
            yield tx
            grown = tx.finish()
        # The commit stands even if the keyring cannot be written now. A crash or a locked keyring leaves the keyring
        # behind the log, which the next write or `open` repairs; it is never ahead of the log.
        if grown:
            self._newest_time = tx.now
            with suppress(UnavailableError), self.data.read() as connection:
                remember(self.keyring, connection, wait=wait)

    def check_rules(self) -> None:
        """Try everything that the data file must refuse; see `StoreEngine.check_rules`. Leaves nothing behind."""
        with self.data.write() as connection:
            self.data.check_rules(connection)

    def is_sound(self) -> bool:
        """Return whether the storage of both databases is undamaged. Cost: reads both whole."""
        with self.data.read() as data, self.keyring.read() as kept:
            return self.data.sound(data) and self.keyring.engine.sound(kept)

    def scrub(self) -> Scrubbed:
        """Remove what is left of deleted rows and secrets on the disk and in the memory of this process."""
        scrubbed = self.data.scrub()
        if scrubbed.complete:
            scrubbed = self.keyring.engine.scrub()
        self.drop_caches()  # a reader in another process keeps the disk from being scrubbed, not this memory
        return scrubbed

    def compact(self) -> None:
        """Rewrite both databases without free space, as far as no other process reads them now."""
        self.data.compact()
        self.keyring.engine.compact()

    def drop_caches(self) -> None:
        """Overwrite what the memory of this process may hold of deleted rows and secrets."""
        self.data.drop_caches()
        self.keyring.drop_caches()

    def places(self) -> list[Place]:
        """Return every place that may hold bytes of a row or a secret, for an erasure to search."""
        return [*self.data.places(), *self.keyring.engine.places()]

    def close(self) -> None:
        """Close both databases."""
        self.data.close()
        self.keyring.close()

    def _check_head(self, connection: Connection) -> None:
        remembered = self.keyring.head()
        size = audit_log.log_size(connection)
        read = audit_log.node_reader(connection)
        if size < remembered.size:
            raise TamperError(_older(size, remembered.size))
        if root(remembered.size, read) != remembered.root:
            raise TamperError(
                "integrity: the data file's log is not the one that the keyring remembers; restore a backup of this "
                "site"
            )
        if undone := undone_ends(self.keyring, connection):
            raise TamperError(
                f"integrity: the data file has {len(undone)} consents in force that the keyring knows to have ended; "
                "run 'volens restore --in-place'"
            )
        remember(self.keyring, connection)


def _older(size: int, remembered: int) -> str:
    return (
        f"integrity: the data file's log has {size} entries, the keyring remembers {remembered}; this is an older data "
        "file, and withdrawals since then would be undone; run 'volens restore --in-place'"
    )
