"""The change feed: what other processes have committed is applied to what this one holds in memory (DESIGN.md 8).

Every change of references is in the audit log, so its size is the generation. The log is polled; each process reports
the generation that it has applied, so that an erasure can say who has followed it.
"""

import secrets
import time
from collections.abc import Callable
from typing import Final, final

from volens.consent import UnavailableError
from volens.index.gallery import Galleries
from volens.store import Store
from volens.store.log import CONSENT_ENDED, kinds_since, log_size
from volens.store.programs import Processes

REPORT_S: Final = 3.0
"""How often a process that lives reports at least, and at most where nobody's consent has ended."""

_ID_BYTES: Final = 8


@final
class ChangeFeed:
    """Follows the store. For one thread that polls; `late_s` may be asked by others."""

    def __init__(self, store: Store, galleries: Galleries, clock: Callable[[], float] = time.monotonic) -> None:
        """Apply nothing yet; `clock` is in seconds, never back."""
        self._store = store
        self._galleries = galleries
        self._clock = clock
        self._processes = Processes(store)
        self._started_at = store.now()
        self._generation = 0
        self._followed_at = self._reported_at = -float("inf")
        self._is_told = False

    def follow(self) -> int:
        """Apply what was committed since the last time, report if it is time to, and return the generation applied.

        Where a consent has ended, its sketches are overwritten, and SQLite forgets the pages that its rows were on.

        Raises:
            UnavailableError: the store cannot be read just now; nothing was applied.
            TamperError: a reference does not open, or the data file was replaced.
        """
        if self._store.process_id is None:
            # Not the store's randomness, which tests repeat: no two processes may have one id.
            self._store.process_id = secrets.token_hex(_ID_BYTES)
        with self._store.glance() as glance:
            newest = log_size(glance)
        if newest > self._generation:
            with self._store.read() as connection:
                newest = log_size(connection)
                is_urgent = self._generation > 0 and CONSENT_ENDED in kinds_since(connection, self._generation)
                self._galleries.level(connection)
            if is_urgent:
                self._store.forget()
            self._is_told = self._is_told and not is_urgent
            self._generation = newest
        self._followed_at = self._clock()
        if not self._is_told or self._followed_at - self._reported_at >= REPORT_S:
            self._report()
        return self._generation

    def late_s(self) -> float:
        """Return how long ago everything that was committed had been applied; infinite before the first time."""
        return self._clock() - self._followed_at

    def leave(self) -> None:
        """Report no more, and say so if the store can be written."""
        if self._store.process_id is not None:
            try:
                self._processes.leave(self._store.process_id)
            except UnavailableError:
                return

    def _report(self) -> None:
        """Report; where others are writing, the next time will do."""
        process_id = self._store.process_id
        if process_id is None:
            return
        try:
            self._processes.report(process_id, self._started_at, self._generation, len(self._galleries.built()))
        except UnavailableError:
            self._is_told = False
            return
        self._is_told, self._reported_at = True, self._clock()
