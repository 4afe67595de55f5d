"""A reader-writer lock: readers hold it together, a writer holds it exclusively. The standard library has none."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import final


@final
class ReadWriteLock:
    """A waiting writer goes before new readers, so that withdrawals never starve.

    Not re-entrant: a thread that holds it must not acquire it again.
    """

    def __init__(self) -> None:
        self._turn = threading.Condition(threading.Lock())
        self._readers = 0
        self._writing = False
        self._writers_waiting = 0

    @contextmanager
    def shared(self) -> Generator[None]:
        """Hold the lock together with other readers."""
        self.acquire_shared()
        try:
            yield
        finally:
            self.release_shared()

    def acquire_shared(self) -> None:
        """Acquire what `shared` holds; call `release_shared` in a ``finally``. It is for scans, which are short."""
        with self._turn:
            while self._writing or self._writers_waiting:
                self._turn.wait()
            self._readers += 1

    def release_shared(self) -> None:
        """Release it."""
        with self._turn:
            self._readers -= 1
            if not self._readers and self._writers_waiting:
                self._turn.notify_all()

    @contextmanager
    def exclusive(self) -> Generator[None]:
        """Hold the lock exclusively."""
        with self._turn:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers:
                    self._turn.wait()
            finally:
                self._writers_waiting -= 1
            self._writing = True
        try:
            yield
        finally:
            with self._turn:
                self._writing = False
                self._turn.notify_all()
