"""Pending stops: what a process obeys and the store has not recorded; told to other processes, and retried."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from connections import lock_timeout
from house import House, no_models
from patience import PATIENCE_S

from volens import Site
from volens.consent import EndReason, NoLiveConsentError, ReceiptId, UnavailableError
from volens.erase import PeerAnswers, StopPendingError
from volens.erase.pending_stops import HELD_S, TELL_AFTER_S, PendingStops, Stop
from volens.service.process import StopKeeper
from volens.store.files.stop_reserve import RESERVE_BYTES, StopReserve


@pytest.fixture(autouse=True)
def _short_patience() -> Iterator[None]:
    with lock_timeout(0.05):
        yield


@contextmanager
def locked(home: Path) -> Iterator[None]:
    with closing(sqlite3.connect(home / "volens.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Others:
    """Stands in for the other processes; implements `Peers`."""

    def __init__(self) -> None:
        self.said: list[tuple[list[Stop], str]] = []

    def tell(self, stops: Sequence[Stop], problem: str) -> PeerAnswers:
        self.said.append((list(stops), problem))
        return PeerAnswers(2, ("0123456789abcdef",))


@contextmanager
def another_process(house: House) -> Iterator[House]:
    """Open the site once more, with galleries, memory and connections of its own."""
    site = Site.open(house.site.home, load_extractor=no_models, clock=house.clock)  # type: ignore[arg-type]
    with site:
        yield House.of(site, house.people)


def test_a_stopped_consent_is_in_force_for_no_kind_of_decision(house: House) -> None:
    person, other = house.admit(), house.admit()
    grant = house.grant(person)
    assert house.sees(person)

    house.store.stopped.add([person.receipt_id])

    assert not house.sees(person)
    assert house.sees(other)
    with pytest.raises(NoLiveConsentError):
        house.verify(person)
    with pytest.raises(NoLiveConsentError):
        house.grant(person)
    invited = house.invite()
    before = house.grant(invited)
    house.store.stopped.add([invited.receipt_id])
    with pytest.raises(NoLiveConsentError):
        house.grant(invited)
    assert (grant.receipt_id, before.receipt_id) == (person.receipt_id, invited.receipt_id)
    assert house.site.status().zones[0].live_consents == 3  # nothing was written


def test_without_a_thread_that_retries_a_refused_withdrawal_only_stops_this_process(house: House) -> None:
    person = house.admit()
    house.reopen()
    assert house.sees(person)

    with locked(house.site.home), pytest.raises(UnavailableError, match="is locked by another process") as refused:
        house.withdraw(person)

    assert not isinstance(refused.value, StopPendingError)
    assert not house.sees(person)
    assert house.site.stops.waiting() == []
    with another_process(house) as elsewhere:
        assert elsewhere.sees(person)
    assert house.withdraw(person).certificate_path.exists()


def test_a_pending_stop_says_what_is_promised_and_is_committed_later(house: House) -> None:
    person, next_one = house.admit(), house.admit()
    house.reopen()
    now, others = [0.0], Others()
    stops = PendingStops(house.site.installation, lambda: now[0])
    stops.retries, stops.peers = True, others

    with locked(house.site.home):
        with pytest.raises(StopPendingError) as pending:
            stops.withdraw(person.receipt_id)
        assert "no longer" not in str(pending.value)
        for words in (
            "matching has stopped in this process and in 2 others",
            "but perhaps not in 0123456789abcdef, which did not answer",
            "not on the disk yet (volens.db is locked by another process",
            "keep the code or receipt",
            "you must withdraw again",
        ):
            assert words in str(pending.value)
        assert others.said[-1][0] == [(person.receipt_id, EndReason.WITHDRAWN)]
        assert "is locked" in others.said[-1][1]
        # While the store cannot be written, the next one is told at once, without a try of its own.
        with pytest.raises(StopPendingError):
            stops.withdraw(next_one.receipt_id)
        assert stops.overdue() == (2, 0.0)
        assert "is locked" in (stops.unrecorded() or "")
        now[0] += 60
        stops.work()
        assert stops.overdue() == (2, 60.0)
        assert not house.sees(person)
        assert not list(house.site.home.glob("certificates/*"))

    now[0] += 60
    stops.work()
    assert stops.overdue() == (0, 0.0)
    assert stops.unrecorded() is None
    assert stops.waiting() == []
    assert house.site.status().zones[0].live_consents == 0
    assert len(list(house.site.home.glob("certificates/*"))) == 2
    house.site.log.verify()


def test_a_stop_that_was_told_is_committed_by_whoever_is_left(house: House) -> None:
    person, stays = house.admit(), house.admit()
    now = [0.0]
    stops = PendingStops(house.site.installation, lambda: now[0])

    stops.take([(person.receipt_id, EndReason.LEFT)])

    assert not house.sees(person)
    stops.work()
    assert house.site.status().zones[0].live_consents == 2  # the one that took it has time to commit it
    now[0] += HELD_S + 1
    stops.work()
    assert house.site.status().zones[0].live_consents == 1
    assert house.withdraw(person).reason == "left"
    assert house.sees(stays)
    assert stops.waiting() == []


def test_a_stop_that_cannot_be_committed_hinders_no_other(house: House) -> None:
    person = house.admit()
    now, tried = [0.0], list[str]()
    stops = PendingStops(house.site.installation, lambda: now[0])

    def fail() -> None:
        tried.append("message")
        raise RuntimeError("anything")

    stops.hold("message", [], EndReason.LEFT, fail, "the disk is full")
    stops.take([(ReceiptId("0" * 32), EndReason.WITHDRAWN), (person.receipt_id, EndReason.WITHDRAWN)])
    assert stops.unrecorded() == "the disk is full"
    now[0] += 60
    stops.work()

    assert tried == ["message"]
    assert house.site.status().zones[0].live_consents == 0
    assert stops.waiting() == []
    assert stops.overdue() == (1, 60.0)
    assert stops.unrecorded() == "internal error (RuntimeError)"


def test_a_stop_is_told_if_it_takes_long_and_not_if_it_is_committed(house: House) -> None:
    person, other = house.admit(), house.admit()
    now, others = [0.0], Others()
    stops = PendingStops(house.site.installation, lambda: now[0])
    stops.peers = others

    stops.withdraw(person.receipt_id)
    now[0] += TELL_AFTER_S
    stops.work()
    assert others.said == []

    stops.take([(other.receipt_id, EndReason.WITHDRAWN)])
    stops.work()
    assert others.said == []
    now[0] += TELL_AFTER_S
    stops.work()
    stops.work()
    assert others.said == [([(other.receipt_id, EndReason.WITHDRAWN)], "")]


def test_processes_tell_each_other_without_a_disk_and_a_new_one_asks(house: House) -> None:
    person = house.admit()
    house.reopen()
    with another_process(house) as second, StopKeeper(house.site), StopKeeper(second.site):
        assert second.sees(person)
        with locked(house.site.home):
            with pytest.raises(StopPendingError, match="in this process and in 1 other;"):
                house.withdraw(person)
            assert not second.sees(person)
        until(lambda: not house.site.stops.waiting() and not second.site.stops.waiting())
        assert house.withdraw(person).certificate_path.exists()

    held = house.admit()
    with StopKeeper(house.site), another_process(house) as third:
        house.site.stops.take([(held.receipt_id, EndReason.WITHDRAWN)])
        assert third.sees(held) or not house.site.stops.waiting()
        with StopKeeper(third.site):
            assert not third.sees(held)


def test_a_reserve_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    reserve = StopReserve(tmp_path)
    reserve.path.write_bytes(b"cut off")
    assert not reserve.is_kept()
    assert reserve.keep()
    assert (reserve.path.stat().st_size, reserve.path.stat().st_mode & 0o777) == (RESERVE_BYTES, 0o600)
    assert not reserve.is_disk_full()
    assert not reserve.release()  # there is room
    assert reserve.is_kept()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
