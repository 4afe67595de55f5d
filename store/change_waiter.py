"""Waits for commits of other processes: until an engine signals one, or for the time after which to look anyway.

A signal is a wake-up and nothing more. The change itself is in the audit log and in the keyring, so a signal that is
lost, or a connection that is, only means that the change is found at the next look.
"""

import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, final

from volens.consent import UnavailableError
from volens.store.engine import ChangeSignal, StoreEngine

_RETRY_S: Final = 1.0
"""Seconds between two attempts to listen again after a connection was lost."""


@final
class ChangeWaiter:
    """Waits for some engines. One thread waits; `wake` may be called by others."""

    def __init__(self, engines: Sequence[StoreEngine], clock: Callable[[], float] = time.monotonic) -> None:
        """Wait for these engines; `clock` returns seconds and is monotonic."""
        self._signals: dict[int, ChangeSignal] = {}
        self._engines = engines
        self._clock = clock
        self._tried_at = -float("inf")
        self._woken, self._waker = socket.socketpair()

    @property
    def is_listening(self) -> bool:
        """Whether every engine signals its commits to us now."""
        return len(self._signals) == len(self._engines)

    def wait(self, timeout_s: float, listening_s: float) -> None:
        """Return when there may be a change, at the latest after `timeout_s`, or after `listening_s` while we listen.

        After listening has begun, also after a connection was lost, it returns at once: look for changes of before.
        """
        if self._listen():
            return
        until = listening_s if self.is_listening else timeout_s
        poll, numbers = select.poll(), {one.fileno(): number for number, one in self._signals.items()}
        for descriptor in (self._woken.fileno(), *numbers):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(until * 1000):
            if descriptor in numbers:
                self._drain(numbers[descriptor])

    def wake(self) -> None:
        """End the wait, this time and from now on."""
        with suppress(OSError):
            self._waker.send(b"\0")

    def close(self) -> None:
        """Stop listening."""
        for signal in self._signals.values():
            signal.close()
        self._signals.clear()
        self._woken.close()
        self._waker.close()

    def _drain(self, number: int) -> None:
        try:
            self._signals[number].drain()
        except UnavailableError:
            self._signals.pop(number).close()

    def _listen(self) -> bool:
        """Listen to the engines to which we do not yet; return whether that began with one of them."""
        missing = [number for number in range(len(self._engines)) if number not in self._signals]
        if not missing or self._clock() - self._tried_at < _RETRY_S:
            return False
        self._tried_at = self._clock()
        before = len(self._signals)
        for number in missing:
            with suppress(UnavailableError):
                remote = self._engines[number].remote
                if remote is not None:
                    self._signals[number] = remote.signal()
        return len(self._signals) > before
