"""Two processes of one site: what one commits the other lets go of by itself, and says so. Both in one here."""

import json
import threading
from collections.abc import Iterator

import pytest
from house import DIMENSION, MODEL, House, no_models

from volens import Site
from volens.consent import Purpose
from volens.consent.embedding import FloatArray
from volens.erase.followers import CONFIRM_S
from volens.identify import FaceDecision, Identification
from volens.service.process.following import Follower
from volens.service.webhooks.decision_notifier import DecisionNotifier
from volens.store.programs import MessageKind, Processes
from volens.store.programs.processes import SILENT

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
    return sum(map(len, house.galleries.built()))


def sketches(house: House) -> bytes:
    return b"".join(bytes(buffer) for one in house.galleries.built() for buffer in one.engine.buffers())


def test_a_sketch_is_gone_from_another_process_that_nobody_asked_anything(house: House, other: House) -> None:
    ada, bob = house.admit(), house.admit()
    assert held(other) == 2
    other.site.feed.follow()
    before = sketches(other)
    house.withdraw(ada)
    assert sketches(other) == before

    other.site.feed.follow()

    assert sum(map(len, other.galleries.built())) == 1
    width = 1024 // 8
    assert any(before[:width])
    assert any(before[width : 2 * width])
    assert not any(sketches(other)[width:])
    assert other.sees(bob)


def test_each_process_says_how_far_it_follows_and_the_silent_are_taken_for_dead(house: House, other: House) -> None:
    for one in (house, other):
        one.site.feed.follow()
    first, second = Processes(house.store).running()
    assert {first.process_id, second.process_id} == {house.store.process_id, other.store.process_id}
    assert first.lag == second.lag == first.seen_at - first.started_at

    house.admit()
    house.clock.move(seconds=12)
    house.site.feed.follow()
    house.site.feed._reported_at = -float("inf")
    house.site.feed.follow()
    lags = {one.process_id: one.lag.total_seconds() for one in house.site.status().processes}
    assert lags == {house.store.process_id: 0, other.store.process_id: 12}

    house.clock.move(seconds=SILENT.total_seconds() - 11)
    assert [one.process_id for one in Processes(house.store).running()] == [house.store.process_id]
    house.site.feed.leave()
    assert Processes(house.store).running() == []


def test_reporting_adds_nothing_to_the_log_and_nothing_where_somebody_else_writes(house: House) -> None:
    size = house.site.status().log_size
    feed = house.site.feed
    with house.store.write():
        feed.follow()
    assert house.site.status().processes == ()
    feed.follow()
    assert len(house.site.status().processes) == 1
    assert house.site.status().log_size == size


def test_an_erasure_notes_how_many_others_have_followed_it(house: House, other: House) -> None:
    ada = house.admit()
    house.site.feed.follow()
    follower = Follower(other.site.feed)
    follower.start()
    try:
        while len(Processes(house.store).running()) < 2:
            threading.Event().wait(0.05)
        house.withdraw(ada)
    finally:
        follower.close()
    assert facts(house) == {"reason": "withdrawn", "zone": "lobby", "processes": {"others": 1, "confirmed": 1}}


def test_an_erasure_does_not_wait_for_ever_for_who_says_nothing(
    house: House, other: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", CONFIRM_S / 20)
    other.site.feed.follow()
    house.withdraw(house.admit())
    assert facts(house)["processes"] == {"others": 1, "confirmed": 0}


def facts(house: House) -> dict[str, object]:
    with house.store.read() as connection:
        (row,) = connection.exec_driver_sql("SELECT facts FROM erasure").all()
    found: dict[str, object] = json.loads(row[0])
    return found


def test_who_does_not_follow_for_long_is_late(house: House) -> None:
    time = [0.0]
    house.site.feed._clock = lambda: time[0]
    follower = Follower(house.site.feed)
    assert not follower.is_late()
    house.site.feed.follow()
    follower._loop = threading.Thread()
    assert not follower.is_late()
    time[0] = 11.0
    assert follower.is_late()


def test_two_processes_tell_of_one_passage_once(house: House, other: House) -> None:
    for one in ("panel", "other panel"):
        house.site.rights.recipients.add("lobby", one)
    house.site.rights.endpoints.add(
        "lobby", "panel", url="http://127.0.0.1:9/", allow_private=True, kinds=[MessageKind.DOOR_DECISION]
    )
    ada = house.admit()
    found = seen(house, ada.face)
    told = [DecisionNotifier(one.site.rights.outbox, lambda: 0.0) for one in (house, other)]
    for one in told:
        one.tell(found)
    outbox = house.site.rights.outbox
    (message,) = outbox.claim(8)

    outbox.delivered(message)
    DecisionNotifier(other.site.rights.outbox, lambda: 0.0).tell(found)
    assert outbox.list() == []
    assert outbox.state().waiting == 0

    house.clock.move(seconds=10)
    assert outbox.claim(8) == []
    with house.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM webhook_outbox").scalar() == 0
    DecisionNotifier(other.site.rights.outbox, lambda: 0.0).tell(found)
    assert len(outbox.list()) == 1


def seen(house: House, face: FloatArray) -> Identification:
    decision = house.look_at(face)
    return Identification(LOBBY, MODEL, 0.5, (FaceDecision((0, 0, 1, 1), decision),))


def test_what_is_delivered_just_now_goes_with_the_consent(house: House) -> None:
    house.site.rights.recipients.add("lobby", "panel")
    house.site.rights.endpoints.add(
        "lobby", "panel", url="http://127.0.0.1:9/", allow_private=True, kinds=[MessageKind.DOOR_DECISION]
    )
    ada = house.admit()
    outbox = house.site.rights.outbox
    outbox.decided([ada.receipt_id])
    (message,) = outbox.claim(8)
    outbox.delivered(message)
    house.withdraw(ada)
    with house.store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM webhook_outbox").scalar() == 0
