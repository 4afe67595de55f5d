"""A node of a site on a server: it applies a commit at the signal, and without the signal at its next look."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from house import DIMENSION, MODEL, House
from patience import PATIENCE_S
from postgres_server import PostgresServer

from benchmarks.latency.delaying_proxy import DelayingProxy
from volens.consent import Purpose
from volens.service.process import FeedFollower, feed_follower
from volens.store import ChangeWaiter, read_databases
from volens.store.engine import ChangeSignal
from volens.store.postgres.change_listener import PostgresSignal
from volens.store.postgres.postgres_remote import PostgresRemote

LOBBY = Purpose("lobby")


@pytest.fixture
def engine() -> str:
    return "server"


def sketches(house: House) -> int:
    return sum(map(len, house.galleries.built().values()))


def holds(house: House, count: int) -> Callable[[], bool]:
    with house.store.read() as connection:
        house.galleries.of(connection, LOBBY, MODEL, DIMENSION)
    return lambda: sketches(house) == count


def until(condition: Callable[[], bool]) -> None:
    ended = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        ended.wait(0.01)
    raise AssertionError("the state did not come")


@pytest.fixture
def signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never look without a signal."""
    monkeypatch.setattr(feed_follower, "SIGNALLED_S", PATIENCE_S)


@pytest.fixture
def followed(node: House) -> Iterator[House]:
    follower = FeedFollower(node.site.feed)
    follower.start()
    yield node
    follower.close()


@pytest.mark.usefixtures("signals_alone")
def test_a_withdrawal_at_another_node_is_applied_at_its_signal(house: House, followed: House) -> None:
    ada, _ = house.admit(), house.admit()
    is_gone = holds(followed, 1)
    assert sketches(followed) == 2

    house.withdraw(ada)

    until(is_gone)
    until(lambda: followed.store.keyring.epoch == house.store.keyring.epoch)


def test_a_change_that_is_rolled_back_is_not_signalled(house: House) -> None:
    assert house.store.data.remote is not None
    signal = house.store.data.remote.signal()
    assert isinstance(signal, PostgresSignal)
    heard = signal._connection.notifies
    with suppress(RuntimeError), house.store.write() as tx:
        tx.log("service.started", {})
        raise RuntimeError("injected")
    assert list(heard(timeout=0)) == []
    house.invite()
    (first, *_) = heard(timeout=PATIENCE_S, stop_after=1)
    assert (first.channel, first.payload) == (house.store.data.name.partition("/")[2], "")
    signal.close()


def test_a_lost_signal_only_delays_the_change_until_the_next_look(
    house: House, node: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(remote: PostgresRemote) -> ChangeSignal:
        return PostgresSignal("a database", "elsewhere", remote._connect(True))

    monkeypatch.setattr(PostgresRemote, "signal", deaf)
    monkeypatch.setattr(feed_follower, "SIGNALLED_S", 0.05)
    ada, _ = house.admit(), house.admit()
    is_gone = holds(node, 1)
    follower = FeedFollower(node.site.feed)
    follower.start()
    house.withdraw(ada)
    until(is_gone)
    follower.close()


def test_a_lost_listener_is_noticed_and_listens_again(house: House, server: PostgresServer) -> None:
    waiter: ChangeWaiter = house.site.feed.waiter()
    waiter.wait(PATIENCE_S, PATIENCE_S)
    assert waiter.is_listening
    databases = read_databases(house.site.home)
    assert databases is not None
    listeners = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
    assert server.run(f"{listeners} AND datname = current_database()", databases.data) == [(True,), (True,)]
    while waiter.is_listening:
        waiter.wait(PATIENCE_S, PATIENCE_S)
    house.admit()
    size = house.site.feed.follow()
    assert size == house.site.status().log_size
    until(lambda: waiter.wait(0.05, 0.05) or waiter.is_listening)
    waiter.close()


def test_what_is_withdrawn_while_the_server_is_out_of_reach_is_applied_afterwards(
    house: House, followed: House, proxy: DelayingProxy
) -> None:
    ada, _ = house.admit(), house.admit()
    is_gone = holds(followed, 1)
    with proxy.refusing():
        house.withdraw(ada)
        assert sketches(followed) == 2
    until(is_gone)
