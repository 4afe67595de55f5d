"""Follows the change feed in a background thread, so that this process applies what other processes commit.

A database server signals each commit, and the poll is the fallback; with files, it is all there is.
"""

import threading
from contextlib import suppress
from typing import Final, final

from volens.consent import VolensError
from volens.index import ChangeFeed
from volens.store import ChangeWaiter

POLL_S: Final = 0.25
"""Seconds, plus the time it takes, for which a sketch may outlive the person's withdrawal in another process."""

SIGNALLED_S: Final = 1.0
"""The same while the database signals commits: only for a signal that was lost."""

FILL_S: Final = 0.004
"""Seconds between two batches that are read into a hot set, as long as a batch takes: doors decide in between."""

LATE_S: Final = 10.0
"""A process that has not followed for this time is not ready: something keeps it from the store."""


@final
class FeedFollower:
    """Follows a change feed. Close it before the site."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self._ended = threading.Event()
        self._waiter: ChangeWaiter | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Follow from now on: at each signal of the database, and every `POLL_S` or `SIGNALLED_S` seconds.

        If it follows already, nothing changes: an application may be started several times in one process.
        """
        if self._thread is not None:
            return
        self._waiter = self._feed.waiter()
        self._thread = threading.Thread(target=self._run, args=(self._waiter,), name="follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following, and remove this process from the list of processes."""
        self._ended.set()
        if self._thread is not None and self._waiter is not None:
            self._waiter.wake()
            self._thread.join()
            self._waiter.close()
            self._feed.leave()

    def is_late(self) -> bool:
        """Return whether this follower was started but has not followed for `LATE_S`."""
        return self._thread is not None and self._feed.late_s() > LATE_S

    def _run(self, waiter: ChangeWaiter) -> None:
        while not self._ended.is_set():
            is_filling = False
            with suppress(VolensError):  # the store cannot be read now; operations report the reason
                self._feed.follow()
                is_filling = self._feed.fill_hot_sets()
            waiter.wait(*((FILL_S, FILL_S) if is_filling else (POLL_S, SIGNALLED_S)))
