"""A thread that keeps this process level with what others commit, whether anybody asks it something or not."""

import threading
from contextlib import suppress
from typing import Final, final

from volens.consent import VolensError
from volens.index import ChangeFeed

POLL_S: Final = 0.25
"""How long, with the time that it takes, somebody's sketch may outlive their withdrawal in another process."""

LATE_S: Final = 10.0
"""Who has not followed for so long is not ready: something keeps it from the store."""


@final
class Follower:
    """Follows a change feed. Close it before the site."""

    def __init__(self, feed: ChangeFeed) -> None:
        """Begin nothing yet."""
        self._feed = feed
        self._ended = threading.Event()
        self._loop: threading.Thread | None = None

    def start(self) -> None:
        """Follow from now on, every `POLL_S` seconds."""
        self._loop = threading.Thread(target=self._run, name="follower", daemon=True)
        self._loop.start()

    def close(self) -> None:
        """Follow no more, and say so to the other processes."""
        self._ended.set()
        if self._loop is not None:
            self._loop.join()
            self._feed.leave()

    def is_late(self) -> bool:
        """Tell whether it should follow, and has not for `LATE_S`."""
        return self._loop is not None and self._feed.late_s() > LATE_S

    def _run(self) -> None:
        while True:
            with suppress(VolensError):  # a store that cannot be read now; who asks it is told why
                self._feed.follow()
            if self._ended.wait(POLL_S):
                return
