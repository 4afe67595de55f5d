"""An open store: data and keyring databases, and transactions whose audit log entries are signed before the commit."""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self, final

from sqlalchemy import Connection, insert, select

from volens.audit import VerifierKey, origin_of
from volens.consent import SiteId, TamperError, UnavailableError
from volens.consent.errors import DamagedDataError
from volens.consent.lease_end import SteadyTime
from volens.consent.receipt import Controller
from volens.consent.times import whole_seconds
from volens.store.engine import Place, Scrubbed, StoreEngine
from volens.store.engine_choice import open_engine
from volens.store.keys.keyring import Keyring
from volens.store.keys.root_key.holder import RootKeyHolder
from volens.store.keys.secrets import Random, RootKey
from volens.store.log import audit_log
from volens.store.log.freshness import Evidence, Misfit
from volens.store.log.home_evidence import home_evidence, keep_checkpoint
from volens.store.log.keyring_memory import begin_memory
from volens.store.log.log_reading import newest_head
from volens.store.log.log_time import store_time
from volens.store.log.remembrance import remember
from volens.store.log.rollback_check import KeyringRepair, check_newest, check_write, find_rollback, repair_keyring
from volens.store.log.seen_log import LastEntry, SeenLog, last_entry
from volens.store.log.shard_log import newest_time
from volens.store.prepared_query import ReadSnapshot
from volens.store.public_key_file import check_public_key
from volens.store.recovery_advice import advised
from volens.store.rollout import Rollout, Step
from volens.store.row_seals import RowSeals, mark_writing
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.site_record import SiteRecord
from volens.store.stopped_consents import PausedConsents, StoppedConsents
from volens.store.system_clock import Clock, SteadyClock, steady_clock_beside
from volens.store.transaction import Transaction

DATA_FILE: Final = "volens.db"
KEYRING_FILE: Final = "keyring.db"
KEYRING_REPAIRED: Final = "keyring.repaired"


@final
class Store:
    """The store of one site. `open` checks that the databases have the rules of this version; `close` it when done.

    Attributes:
        folder: where the store is.
        seals: the seals of authenticated rows.
        data: the engine of the data file. Its own `write` neither signs nor remembers log entries: use `Store.write`.
        process_id: the id under which this process reports what it has applied; None if it does not (`ChangeFeed`).
        keyring_repair: what the opening repaired, because the keyring was older than the data file; None if it was not.
        stopped: the consents that have ended for this process, committed or not.
        steady_clock: the clock by which leases end, however the other one is set.
        seen: the longest log that this process has seen.
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
        self.steady_clock: SteadyClock = steady_clock_beside(clock)
        self._opened = clock(), self.steady_clock()
        self.random = random
        self.process_id: str | None = None
        self.stopped = StoppedConsents()
        self.paused = PausedConsents()
        self.keyring_repair: KeyringRepair | None = None
        self._restoring, self._any_time = restoring, False
        with data.read() as connection:
            row = connection.execute(select(tables.site)).one_or_none()
            self._newest_time, self.seen = newest_time(connection), SeenLog(folder, last_entry(connection))
        if row is None:
            raise advised(DamagedDataError(f"{data.name} has no site"), data.advice)
        controller = Controller(SiteId(row.site_id), row.controller_name, row.controller_contact)
        self.site = SiteRecord(controller, row.public_key, row.created_at)
        self.seals = RowSeals(data, keyring)

    @classmethod
    def create(cls, folder: Path, *, root_key: RootKey, controller: Controller, clock: Clock, random: Random) -> Self:
        """Make the two databases of a new store in an existing folder.

        Raises:
            UnavailableError: one is already there, or the disk refuses.
        """
        now = whole_seconds(clock())
        with ExitStack() as on_failure:
            keyring = Keyring.create(folder / KEYRING_FILE, controller.site_id, root_key, random, now)
            on_failure.callback(keyring.close)
            on_failure.callback(keyring.engine.discard)
            data = open_engine(folder / DATA_FILE, "data", tables.REVISIONS, create=True)
            on_failure.callback(data.discard)
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
            begin_memory(keyring)
            store = cls(folder, data, keyring, clock, random)
            with store.write() as tx:
                index, _event = tx.log("site.created", {"site_id": controller.site_id})
                store.seals.write(tx.connection, Scope.SITE, [controller.site_id], index + 1)
            on_failure.pop_all()
            return store

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        root_key: RootKey | RootKeyHolder,
        clock: Clock,
        random: Random,
        restoring: Path | None = None,
        any_time: bool = False,
        step: Step | None = None,
    ) -> Self:
        """Open a store; `step` is one of a rollout, as an operator ordered it.

        1. Keyring and data file open, with the schema of this version, and belong to one site.
        2. Rollback protection (`volens.store.log.freshness`): the keyring's memory is authentic; the audit log contains
           the log that it remembers, with the newest entries byte for byte, and those of the checkpoint and the
           certificates in the home; no row was sealed later than the log ends; no consent is in force that the keyring
           knows to have ended; no restore was interrupted.
        3. A keyring that is older than the data file is repaired: secrets that were destroyed since are destroyed again
           (`keyring_repair`), and it remembers the rest of the log. Not before the clock was checked (`now`).

        Opened with the holder of its root key, an erasure can replace that key; with the key alone, it cannot.

        `restoring` names the data file that a restore works on, instead of the folder's. Then 2 and 3 are left out:
        `volens.store.backup.restore` adds what the file lacks before any other process opens it. With `any_time`, a
        clock that is behind the log is accepted, for `volens.store.time_correction`.

        Raises:
            UnavailableError: a file is missing, locked, read-only, or of a newer version; or the clock is behind.
            TamperError: 1 or 2 does not hold; or the older keyring has no secret for a consent in force.
        """
        # 1.
        with ExitStack() as on_failure:
            keyring = Keyring.open(folder / KEYRING_FILE, root_key)
            on_failure.callback(keyring.close)
            rollout = Rollout(keyring, lambda: whole_seconds(clock()), step)
            data = open_engine(restoring or folder / DATA_FILE, "data", tables.REVISIONS, rollout=rollout)
            on_failure.callback(data.close)
            store = cls(folder, data, keyring, clock, random, restoring=restoring is not None)
            store._any_time = any_time
            on_failure.callback(store.seals.close)
            store._check_one_site()
            if restoring is None:
                with data.write() as connection:
                    # 2.
                    kept = home_evidence(folder, connection, store.verifier_key)
                    if (misfit := find_rollback(folder, connection, keyring, kept)) is not None:
                        raise misfit.error()
                    check_newest(folder, connection, keyring, store.seals.newer_than)
                    # 3.
                    store.keyring_repair = repair_keyring(folder, connection, keyring, random, store.now())
                    remember(keyring, connection, store.seals.codes_of)
            if store.keyring_repair is not None:
                with store.write() as tx:
                    tx.log(KEYRING_REPAIRED, asdict(store.keyring_repair))
            on_failure.pop_all()
            return store

    @property
    def verifier_key(self) -> VerifierKey:
        """The site's public keys under the log's name: with them anyone can verify certificates and the log.

        Raises:
            TamperError: the statements in the keyring that introduce the later keys do not hold.
        """
        return VerifierKey(self.origin, self.site.public_key).followed_by(self.keyring.successions())

    @property
    def origin(self) -> str:
        """The name (origin) of the log."""
        return origin_of(self.site.controller.site_id)

    def now(self) -> datetime:
        """Return the current time, UTC, whole seconds; never before the newest log entry that this process has seen.

        Raises:
            UnavailableError: the clock is too far behind that entry; see `store_time`.
        """
        clock = whole_seconds(self.clock())
        return clock if self._any_time else store_time(clock, self._newest_time)

    def steady_time(self) -> SteadyTime:
        """Return the time on a clock that no one sets, and by how much the wall clock was set forward meanwhile."""
        (wall, begun), steady = self._opened, self.steady_clock()
        ahead_s = (self.clock() - wall).total_seconds() - (steady.seconds - begun.seconds)
        return replace(steady, ahead_s=max(0.0, ahead_s))

    @property
    def newest_time(self) -> datetime | None:
        """The time of the newest log entry that this process has seen; None of an empty log."""
        return self._newest_time

    def note_newest(self, connection: Connection | ReadSnapshot, last: LastEntry, seen: LastEntry) -> None:
        """Note the last entry of the log, which another process may have written; see `SeenLog.check` for the rest."""
        if not self._restoring:
            self.seen.check(connection, last, seen)
        self.seen.note(last)
        self._newest_time = newest_time(connection)

    def read(self) -> AbstractContextManager[Connection]:
        """Read in one consistent snapshot."""
        return self.data.read()

    def read_prepared(self) -> AbstractContextManager[ReadSnapshot]:
        """Read in one consistent snapshot, with `PreparedQuery` queries only; see `StoreEngine.read_prepared`."""
        return self.data.read_prepared()

    def generation(self) -> int:
        """Return the size of the log as committed now: every change of people, zones and keys makes it grow. 5 us.

        Raises:
            TamperError: it is shorter than this process has seen.
        """
        seen, size = self.seen.last, audit_log.generation_of(self.data.read_value(audit_log.NEWEST))
        self.seen.check_size(size, seen)
        return size

    @contextmanager
    def write(self, *, wait: bool = True) -> Generator[Transaction]:
        """Write in one transaction. Its log entries are signed before the commit; then the keyring remembers them.

        With `wait=False`, raise at once if another process holds the write lock; see `StoreEngine.write`.

        Raises:
            TamperError: the data file was replaced by an older one while it was in use, the memory of the keyring was
                changed, or a restore is in progress.
            UnavailableError: the clock is too far behind the newest log entry; see `now`.
        """
        with self.data.write(wait=wait) as connection:
            last = last_entry(connection)
            if not self._restoring:
                check_write(self.folder, last.size, self.keyring)
            self.note_newest(connection, last, self.seen.last)
            mark_writing(connection, writing=True)
            try:
                tx = Transaction(
                    connection,
                    last.size,
                    engine=self.data,
                    seals=self.seals,
                    random=self.random,
                    now=self.now(),
                    steady=self.steady_time(),
                )
                yield tx
                grown = tx.finish()
            finally:
                mark_writing(connection, writing=False)
        # The commit stands even if the keyring cannot be written now. A crash or a locked keyring leaves the keyring
        # behind the log, which the next write or `open` repairs; it is never ahead of the log.
        if grown:
            self._newest_time = tx.now
            with suppress(UnavailableError), self.data.read() as connection:
                remember(self.keyring, connection, self.seals.codes_of, wait=wait)
            if not self._restoring:
                self.keep_checkpoint()

    def scrub(self) -> Scrubbed:
        """Remove what is left of deleted rows and secrets on the disk and in the memory of this process."""
        if (scrubbed := self.data.scrub()).complete:
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
        self.seals.close()
        self.data.close()
        self.keyring.close()

    def _check_one_site(self) -> None:
        key = self.verifier_key
        if (self.keyring.site_id, self.keyring.public_key) != (self.site.controller.site_id, key.newest.public_key):
            raise TamperError("integrity: keyring and data are of different sites; use two that belong together")
        try:
            check_public_key(self.folder, key)
        except DamagedDataError as error:
            raise advised(error, self.keyring.engine.advice)  # noqa: B904  it is the same error

    def keep_checkpoint(self) -> None:
        """Write the newest checkpoint into the home; see `volens.store.log.home_evidence`."""
        with self.data.read() as connection:
            note = newest_head(connection).note
            self.seen.note(last_entry(connection))
        keep_checkpoint(self.folder, note)

    def hold_against(self, evidence: Sequence[Evidence]) -> Misfit | None:
        """Hold the log against evidence that was kept elsewhere; return what does not fit, with its cure."""
        with self.data.read() as connection:
            return find_rollback(self.folder, connection, self.keyring, evidence)
