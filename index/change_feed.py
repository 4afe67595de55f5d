"""The change feed: follows the audit log and the keyring, and applies in memory what other processes have committed.

Every change of references is in the audit log, so the size of the log is the generation of the store. Every erasure
makes a new store key; a process that notices it unlocks the new keys and zeroes the old ones. Each process reports the
generation and the epoch of the store key that it has applied, so that an erasure can say which processes have followed.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, final

from volens.consent import UnavailableError
from volens.index.installation import Installation
from volens.store import ChangeWaiter
from volens.store.backup import remove_dead_snapshots
from volens.store.log import CONSENT_ENDED, kinds_since, log_size
from volens.store.log.seen_log import last_entry
from volens.store.programs import Processes

REPORT_S: Final = 3.0
"""Seconds between two reports of a process. A consent that ended, and new keys, are reported at once."""


@final
class ChangeFeed:
    """Follows the store. One thread polls; other threads may call `late_s` and set the attributes.

    Attributes:
        certificate_until: when the TLS certificate ends that this process serves with; set it before the first report.
        decided_at: when this process last decided about a face.
    """

    def __init__(self, installation: Installation, clock: Callable[[], float] = time.monotonic) -> None:
        """Start at generation 0; `clock` returns seconds and is monotonic."""
        self._store = installation.store
        self._galleries = installation.galleries
        self._clock = clock
        self._processes = Processes(installation.store)
        self._started_at = installation.now()
        self._generation = 0
        self._followed_at = self._reported_at = -float("inf")
        self._is_reported = False
        self._epoch = 0
        self.certificate_until: datetime | None = None
        self.decided_at: datetime | None = None

    @property
    def generation(self) -> int:
        """The generation that this process has applied; read without asking the store."""
        return self._generation

    def follow(self) -> int:
        """Apply what was committed since the last call, report if a report is due, and return the generation applied.

        If a consent has ended, its sketches are overwritten, and SQLite's cache drops the pages with its rows.

        Raises:
            UnavailableError: the store cannot be read now, so nothing was applied; or the holder of the root key does
                not answer, so the keys are the old ones.
            TamperError: a reference or the keyring does not open, or the data were replaced, or set back on a server.
        """
        if self._store.process_id is None:
            # Not the store's randomness, which tests repeat: two processes must never have the same id.
            self._store.process_id = secrets.token_hex(8)
        seen = self._store.seen.last
        with self._store.read_prepared() as snapshot:
            newest = log_size(snapshot)
        if newest > self._generation or newest < seen.size:
            with self._store.read() as connection:
                last = last_entry(connection)
                self._store.note_newest(connection, last, seen)
                is_urgent = self._generation > 0 and CONSENT_ENDED in kinds_since(connection, self._generation)
                self._galleries.level(connection)
            if is_urgent:
                self._store.drop_caches()
            self._is_reported = self._is_reported and not is_urgent
            if self._store.data.remote is not None:
                # Others write there; this home must know how long the log was if the server is set back.
                self._store.keep_checkpoint()
            self._generation = last.size
        problem: UnavailableError | None = None
        try:
            if self._store.keyring.refresh():
                self._store.drop_caches()
                self._is_reported = False
            if self._epoch != (epoch := self._store.keyring.epoch):
                with suppress(UnavailableError):  # files that no key opens any more
                    remove_dead_snapshots(self._store)
                self._epoch = epoch
            self._store.now()  # a process whose clock is behind the log is not up to date
            self._followed_at = self._clock()
        except UnavailableError as error:
            # The secrets in the buckets that no erasure has touched still open.
            problem = error
        if not self._is_reported or self._clock() - self._reported_at >= REPORT_S:
            self._report(self._store.process_id)
        if problem is not None:
            raise problem
        return self._generation

    def waiter(self) -> ChangeWaiter:
        """Return what waits for the next change that `follow` may apply; the caller closes it."""
        return ChangeWaiter([self._store.data, self._store.keyring.engine])

    def fill_hot_sets(self) -> bool:
        """Read a few references into a hot set; False if none are left to read. See `Galleries.fill_hot_sets`."""
        return self._galleries.fill_hot_sets()

    def late_s(self) -> float:
        """Return the seconds since everything committed had been applied; infinite before the first `follow`."""
        return self._clock() - self._followed_at

    def leave(self) -> None:
        """Remove this process from the list of processes, if the store can be written."""
        if self._store.process_id is not None:
            with suppress(UnavailableError):
                self._processes.leave(self._store.process_id)

    def _report(self, process_id: str) -> None:
        """Report; if another process holds the write lock, the next call reports."""
        try:
            self._processes.report(
                process_id,
                self._started_at,
                self._generation,
                len(self._galleries.built()),
                certificate_until=self.certificate_until,
                decided_at=self.decided_at,
            )
        except UnavailableError:
            self._is_reported = False
            return
        self._is_reported, self._reported_at = True, self._clock()
