"""Waiting for a change: a signal ends the wait, and whatever happens to the signals, the wait ends by itself."""

import socket
import threading
from typing import Any

import pytest
from patience import PATIENCE_S

from volens.consent import UnavailableError
from volens.store import ChangeWaiter

AT_ONCE = 0.0


class FakeSignal:
    """A connection of which the test has the other end."""

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair()
        self.drained = 0

    def fileno(self) -> int:
        return self.here.fileno()

    def drain(self) -> None:
        if not self.here.recv(64):
            raise UnavailableError("the connection is lost")
        self.drained += 1

    def close(self) -> None:
        self.here.close()
        self.there.close()


class FakeEngine:
    """An engine that signals, if it answers."""

    def __init__(self, *, signals: bool = True) -> None:
        self.signals: list[FakeSignal] = []
        self._has_signals = signals
        self.answers = True

    @property
    def remote(self) -> "FakeEngine | None":
        return self if self._has_signals else None

    def signal(self) -> FakeSignal:
        if not self.answers:
            raise UnavailableError("no answer")
        self.signals.append(FakeSignal())
        return self.signals[-1]


class Waited:
    """A waiter on a clock of the test."""

    def __init__(self, *engines: FakeEngine) -> None:
        self.at = 0.0
        several: Any = list(engines)
        self.waiter = ChangeWaiter(several, lambda: self.at)

    def look(self) -> None:
        """Wait for what is there already, and not longer."""
        self.waiter.wait(AT_ONCE, AT_ONCE)


def test_a_signal_of_any_engine_ends_the_wait() -> None:
    data, keyring = FakeEngine(), FakeEngine()
    waited = Waited(data, keyring)
    waited.look()
    assert waited.waiter.is_listening
    for engine in (data, keyring):
        engine.signals[0].there.send(b"changed")
        waited.waiter.wait(PATIENCE_S, PATIENCE_S)
    assert [data.signals[0].drained, keyring.signals[0].drained] == [1, 1]
    waited.waiter.close()


def test_the_first_wait_ends_at_once_because_earlier_commits_were_not_signalled() -> None:
    waited = Waited(FakeEngine())
    waited.waiter.wait(PATIENCE_S, PATIENCE_S)
    assert waited.waiter.is_listening
    waited.waiter.close()


def test_a_lost_connection_ends_the_wait_and_is_replaced_after_a_second() -> None:
    engine = FakeEngine()
    waited = Waited(engine)
    waited.look()
    engine.answers = False
    engine.signals[0].there.close()
    waited.waiter.wait(PATIENCE_S, PATIENCE_S)
    assert not waited.waiter.is_listening
    for at, listens in ((0.5, False), (1.0, False), (1.5, False), (2.0, True)):
        waited.at, engine.answers = at, at > 1.0
        waited.look()
        assert waited.waiter.is_listening is listens
    waited.waiter.close()


@pytest.mark.parametrize("signals", [False, True])
def test_waking_ends_the_wait_with_and_without_signals(*, signals: bool) -> None:
    waited = Waited(FakeEngine(signals=signals))
    waited.look()
    threading.Timer(0.01, waited.waiter.wake).start()
    waited.waiter.wait(PATIENCE_S, PATIENCE_S)
    waited.waiter.wait(PATIENCE_S, PATIENCE_S)
    waited.waiter.close()


def test_without_a_signal_the_wait_is_the_shorter_one() -> None:
    waited = Waited(FakeEngine(), FakeEngine(signals=False))
    waited.look()
    assert not waited.waiter.is_listening
    waited.waiter.wait(AT_ONCE, PATIENCE_S)
    waited.waiter.close()
