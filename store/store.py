"""An open store: the data file, the keyring, and transactions that leave a signed trace in the audit log."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self, final

from sqlalchemy import Connection, insert, select

from volens.audit import Checkpoint, Event, VerifierKey, root
from volens.consent import ReceiptId, SiteId, TamperError, UnavailableError
from volens.consent.receipt import Controller
from volens.consent.times import whole_seconds
from volens.store.keys.keyring import Keyring
from volens.store.keys.root_key.holder import RootKeySource
from volens.store.keys.secrets import Random, RootKey
from volens.store.log import audit_log
from volens.store.log.remembrance import remember, undone_ends
from volens.store.schema import data_tables as tables
from volens.store.sqlite.database import Database
from volens.store.sqlite.prepared_query import Glance
from volens.store.sqlite.self_check import check_refusals

DATA_FILE: Final = "volens.db"
KEYRING_FILE: Final = "keyring.db"
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the system's time."""
    return datetime.now(UTC)


@final
@dataclass(frozen=True, slots=True)
class SiteRecord:
    """What the data file says about its site."""

    controller: Controller
    public_key: bytes
    created_at: datetime


@final
class Transaction:
    """One write: rows and the audit leaves that tell of them, committed together."""

    def __init__(self, connection: Connection, keyring: Keyring, origin: str, random: Random, now: datetime) -> None:
        """Work inside a transaction that is open; `Store.write` makes it."""
        self.connection = connection
        self.now = now
        self.random = random
        self._keyring = keyring
        self._origin = origin
        self._signed: Checkpoint | None = None
        self._start = audit_log.log_size(connection)

    def log(
        self, kind: str, details: Mapping[str, str | int], *, receipt_id: ReceiptId | None = None
    ) -> tuple[int, Event]:
        """Append an audit event; see `audit_log.append`."""
        return audit_log.append(self.connection, kind, self.now, details, receipt_id=receipt_id, random=self.random)

    def log_all(
        self, kind: str, many_details: Sequence[Mapping[str, str | int]], *, ends_at: datetime | None = None
    ) -> list[tuple[int, Event]]:
        """Append an audit event for each of the details, about no consent in force; see `audit_log.append_all`."""
        return audit_log.append_all(
            self.connection, kind, self.now, many_details, receipt_id=None, random=self.random, ends_at=ends_at
        )

    def sign_log(self) -> tuple[Checkpoint, str]:
        """Sign the log's head as it is now, and keep the note."""
        head = audit_log.checkpoint(self.connection, self._origin)
        note = self._keyring.sign_checkpoint(head)
        audit_log.add_note(self.connection, head.size, note)
        self._signed = head
        return head, note

    def finish(self) -> bool:
        """Sign what is not signed yet; tell whether the log grew, so that the keyring must remember it."""
        size = audit_log.log_size(self.connection)
        if size > self._start and (self._signed is None or self._signed.size < size):
            self.sign_log()
        return size > self._start


@final
class Store:
    """The store of one site. `open` proves that the database refuses what the types refuse; `close` when done.

    Attributes:
        keyring: the secrets.
        site: who the store belongs to.
        clock: a function that returns aware time.
        random: a function that returns n random bytes.
        process_id: under which this process reports what it has applied; None if it does not (see `ChangeFeed`).
    """

    def __init__(
        self, data: Database, keyring: Keyring, clock: Clock, random: Random, *, restoring: bool = False
    ) -> None:
        """Hold what `create` and `open` have opened."""
        self.keyring = keyring
        self.clock = clock
        self.random = random
        self.process_id: str | None = None
        self._data = data
        self._restoring = restoring
        with data.read() as connection:
            row = connection.execute(select(tables.site)).one_or_none()
        if row is None:
            raise TamperError(f"integrity: {data.path.name} holds no site; restore the data file")
        controller = Controller(SiteId(row.site_id), row.controller_name, row.controller_contact)
        self.site = SiteRecord(controller, row.public_key, row.created_at)

    @classmethod
    def create(
        cls, folder: Path, *, root_key: RootKey, site_id: SiteId, name: str, contact: str, clock: Clock, random: Random
    ) -> Self:
        """Make the two files of a new store in an existing folder.

        Raises:
            UnavailableError: a file is already there, or the disk refuses.
        """
        now = whole_seconds(clock())
        with ExitStack() as on_failure:
            keyring = Keyring.create(folder / KEYRING_FILE, site_id, root_key, random)
            on_failure.callback(keyring.close)
            data = Database(folder / DATA_FILE, "data", tables.REVISIONS, create=True)
            on_failure.callback(data.close)
            with data.write() as connection:
                connection.execute(
                    insert(tables.site).values(
                        site_id=site_id,
                        controller_name=name,
                        controller_contact=contact,
                        public_key=keyring.public_key,
                        created_at=now,
                    )
                )
            store = cls(data, keyring, clock, random)
            with store.write() as tx:
                tx.log("site.created", {"site_id": site_id})
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

        1. Keyring and data file open, and belong to one site.
        2. The database refuses an embedding without consent, and what else the types refuse.
        3. The audit log contains the log that the keyring remembers, and no consent is in force that the keyring knows
           to have ended: the data file is not an older one.

        Args:
            folder: where the files are.
            root_key: what unlocks the keyring.
            clock: a function that returns aware time.
            random: a function that returns n random bytes.
            restoring: the data file that a restore works on, instead of the folder's. Step 3 is left out: see
                `volens.store.backup.restore`, which brings the file level before anybody else opens it.

        Raises:
            UnavailableError: a file is missing, locked, read-only, or of a newer version.
            TamperError: 1, 2 or 3 does not hold.
        """
        # 1.
        with ExitStack() as on_failure:
            keyring = Keyring.open(folder / KEYRING_FILE, root_key)
            on_failure.callback(keyring.close)
            data = Database(restoring or folder / DATA_FILE, "data", tables.REVISIONS)
            on_failure.callback(data.close)
            store = cls(data, keyring, clock, random, restoring=restoring is not None)
            if keyring.site_id != store.site.controller.site_id or keyring.public_key != store.site.public_key:
                raise TamperError(
                    "integrity: keyring and data file are of different sites; use the two that belong together"
                )
            with data.write() as connection:
                # 2.
                check_refusals(connection)
                # 3.
                if restoring is None:
                    store._check_head(connection)
            on_failure.pop_all()
            return store

    @property
    def verifier_key(self) -> VerifierKey:
        """The site's public key under the log's name: what others need to check certificates and log."""
        return VerifierKey(self.origin, self.site.public_key)

    @property
    def origin(self) -> str:
        """The log's name."""
        return f"volens/{self.site.controller.site_id}"

    def now(self) -> datetime:
        """Return the time, UTC, whole seconds."""
        return whole_seconds(self.clock())

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Read in one consistent snapshot."""
        with self._data.read() as connection:
            yield connection

    @contextmanager
    def glance(self) -> Generator[Glance]:
        """Read in one consistent snapshot, with `PreparedQuery` queries only; see `Database.glance`."""
        with self._data.glance() as glance:
            yield glance

    @contextmanager
    def write(self, *, wait: bool = True) -> Generator[Transaction]:
        """Write in one transaction. What it logs is signed before the commit; afterwards the keyring remembers it.

        Args:
            wait: False: give up at once if another process holds the write lock; see `Database.write`.

        Raises:
            TamperError: the data file was replaced by an older one while it was in use.
        """
        with self._data.write(wait=wait) as connection:
            if not self._restoring and audit_log.log_size(connection) < (known := self.keyring.head().size):
                # Else the log would go on from here a second time, in another way.
                raise TamperError(_older(audit_log.log_size(connection), known))
            tx = Transaction(connection, self.keyring, self.origin, self.random, self.now())
            yield tx
            grown = tx.finish()
        # What was committed is done, whatever the keyring says now. A crash or a locked keyring here leaves it behind
        # the log, which the next write or `open` repairs; it is never ahead of the log.
        if grown:
            with suppress(UnavailableError), self._data.read() as connection:
                remember(self.keyring, connection, wait=wait)

    def truncate_wal(self) -> bool:
        """Cut the data file's write-ahead log; False if a reader still needs it."""
        return self._data.truncate_wal()

    def copy_data_to(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Write a consistent, compact copy of the data file; see `Database.copy_to`."""
        self._data.copy_to(path, progress)

    def forget(self) -> None:
        """Let this process's memory forget deleted rows and secrets; see `Database.forget`."""
        self._data.forget()
        self.keyring.forget()

    def vacuum(self) -> None:
        """Rewrite both files without free space."""
        self._data.vacuum()
        self.keyring.vacuum()

    def close(self) -> None:
        """Give back both files."""
        self._data.close()
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
        undone = undone_ends(self.keyring, connection)
        if undone:
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
