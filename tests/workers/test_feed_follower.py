"""Two processes of one site: each applies what the other commits, and reports it. Here both are in one process."""

import json
import threading
from collections.abc import Iterator

import pytest
from house import DIMENSION, MODEL, House, no_models
from patience import PATIENCE_S

from volens import Site, verify_certificate
from volens.consent import Purpose, UnavailableError
from volens.erase import CONFIRM_S
from volens.identify import VisitRecorder
from volens.index import ChangeFeed
from volens.service.process import FeedFollower
from volens.store.people import VisitKind
from volens.store.programs import SILENT, MessageKind, Processes

LOBBY = Purpose("lobby")


@pytest.fixture
def other(house: House) -> Iterator[House]:
    """The same site, opened a second time."""
    site = Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes)
    with site:
        yield House.of(site)


def held(house: House) -> int:
    with house.store.read() as connection:
        house.galleries.of(connection, LOBBY, MODEL, DIMENSION)
    return sum(map(len, house.galleries.built().values()))


def sketches(house: House) -> bytes:
    return b"".join(bytes(buffer) for one in house.galleries.built().values() for buffer in one.engine.buffers())


def test_a_sketch_is_erased_in_another_idle_process(house: House, other: House) -> None:
    ada, bob = house.admit(), house.admit()
    assert held(other) == 2
    other.site.feed.follow()
    before = sketches(other)
    house.withdraw(ada)
    assert sketches(other) == before

    other.site.feed.follow()

    assert sum(map(len, other.galleries.built().values())) == 1
    width = 1024 // 8
    assert any(before[:width])
    assert any(before[width : 2 * width])
    assert not any(sketches(other)[width:])
    assert other.sees(bob)


def test_processes_report_their_lag_and_silent_ones_count_as_dead(house: House, other: House) -> None:
    seconds = [0.0]
    feed = ChangeFeed(house.site.installation, lambda: seconds[0])
    for one in (feed, other.site.feed):
        one.follow()
    first, second = Processes(house.store).running()
    assert {first.process_id, second.process_id} == {house.store.process_id, other.store.process_id}
    assert first.lag == second.lag == first.seen_at - first.started_at

    house.admit()
    house.clock.move(seconds=12)
    seconds[0] = 12.0
    feed.follow()
    lags = {one.process_id: one.lag.total_seconds() for one in house.site.status().processes}
    assert lags == {house.store.process_id: 0, other.store.process_id: 12}

    house.clock.move(seconds=SILENT.total_seconds() - 11)
    assert [one.process_id for one in Processes(house.store).running()] == [house.store.process_id]
    feed.leave()
    assert Processes(house.store).running() == []


def test_reporting_adds_no_leaf_and_never_waits_for_a_lock(house: House) -> None:
    size = house.site.status().log_size
    feed = house.site.feed
    with house.store.write():
        feed.follow()
    assert house.site.status().processes == ()
    feed.follow()
    assert len(house.site.status().processes) == 1
    assert house.site.status().log_size == size


def test_an_erasure_records_how_many_processes_confirmed_it(
    house: House, other: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", PATIENCE_S)
    ada = house.admit()
    house.site.feed.follow()
    follower = FeedFollower(other.site.feed)
    follower.start()
    try:
        while len(Processes(house.store).running()) < 2:
            threading.Event().wait(0.05)
        certificate = house.withdraw(ada).certificate_path.read_bytes()
        epochs = {one.process_id: one.key_epoch for one in Processes(house.store).running()}
    finally:
        follower.close()
    assert epochs[str(other.store.process_id)] == house.store.keyring.epoch == 2
    stated = verify_certificate(certificate, house.store.verifier_key).statement["keys"]
    assert stated["other_processes"] == {"others": 1, "confirmed": 1}
    assert facts(house) == {"reason": "withdrawn", "zone": "lobby", "processes": {"others": 1, "confirmed": 1}}


def test_an_erasure_does_not_wait_forever_for_a_silent_process(
    house: House, other: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", CONFIRM_S / 20)
    other.site.feed.follow()
    house.withdraw(house.admit())
    assert facts(house)["processes"] == {"others": 1, "confirmed": 0}


def test_the_keys_that_an_erasure_replaced_are_zeroed_in_an_idle_process(house: House, other: House) -> None:
    ada, bob = house.admit(), house.admit()
    assert other.sees(bob)
    keys = other.store.keyring.unlocked
    (key_id,) = keys.key_ids()
    bucket_key = keys.bucket_key(key_id)
    assert bucket_key is not None
    old = [keys.root_key.buffer, keys.store_key.buffer, bucket_key.buffer]
    house.withdraw(ada)
    assert all(any(buffer) for buffer in old)

    other.site.feed.follow()

    assert not any(any(buffer) for buffer in old)
    assert other.sees(bob)
    assert house.sees(bob)


def test_a_process_without_the_new_root_key_drops_sketches_and_is_late(
    house: House, other: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = house.admit(), house.admit()
    assert held(other) == 2
    other.site.feed.follow()
    epoch = other.store.keyring.epoch
    house.withdraw(ada)
    with monkeypatch.context() as silent:
        silent.setattr(type(other.store.keyring.holder), "open", _silent)
        with pytest.raises(UnavailableError, match="injected"):
            other.site.feed.follow()
        assert sum(map(len, other.galleries.built().values())) == 1
        epochs = {one.process_id: one.key_epoch for one in Processes(house.store).running()}
        assert epochs[str(other.store.process_id)] == epoch
    other.site.feed.follow()
    assert other.store.keyring.epoch == epoch + 1
    assert other.sees(bob)


def _silent(*_: object) -> None:
    raise UnavailableError("injected: the holder does not answer")


def facts(house: House) -> dict[str, object]:
    with house.store.read() as connection:
        (row,) = connection.exec_driver_sql("SELECT facts FROM erasure").all()
    found: dict[str, object] = json.loads(row[0])
    return found


def test_a_follower_that_does_not_follow_for_long_is_late(house: House) -> None:
    seconds = [0.0]
    follower = FeedFollower(ChangeFeed(house.site.installation, lambda: seconds[0]))
    assert not follower.is_late()
    follower.start()
    follower.start()
    assert [one.name for one in threading.enumerate()].count("follower") == 1
    while follower.is_late():
        threading.Event().wait(0.01)
    follower.close()
    seconds[0] = 11.0
    assert follower.is_late()


def test_two_processes_report_one_visit_once(house: House, other: House) -> None:
    for one in ("panel", "other panel"):
        house.site.rights.recipients.add("lobby", one)
    house.site.programs.endpoints.add(
        "lobby", "panel", url="http://127.0.0.1:9/", allow_private=True, kinds=[MessageKind.DOOR_DECISION]
    )
    ada = house.admit()
    house.visit(ada)
    other.visit(ada)
    outbox = house.site.programs.outbox
    (message,) = outbox.claim(8)

    outbox.delivered(message)
    VisitRecorder(other.store).record([ada.receipt_id], VisitKind.IDENTIFIED, MODEL)
    assert outbox.list() == []
    assert outbox.state().waiting == 0

    house.clock.move(seconds=10)
    assert outbox.claim(8) == []
    with house.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM webhook_outbox").scalar() == 0
    other.visit(ada)
    assert len(outbox.list()) == 1


def test_a_delivered_message_is_erased_with_the_consent(house: House) -> None:
    house.site.rights.recipients.add("lobby", "panel")
    house.site.programs.endpoints.add(
        "lobby", "panel", url="http://127.0.0.1:9/", allow_private=True, kinds=[MessageKind.DOOR_DECISION]
    )
    ada = house.admit()
    outbox = house.site.programs.outbox
    house.visit(ada)
    (message,) = outbox.claim(8)
    outbox.delivered(message)
    house.withdraw(ada)
    with house.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM webhook_outbox").scalar() == 0
