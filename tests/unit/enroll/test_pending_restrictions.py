"""Restrictions that the store cannot record: matching stops in memory, they are told, retried, and can be lifted."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from connections import lock_timeout
from house import House, no_models
from patience import PATIENCE_S

from volens import Site, SubjectKey
from volens.consent import NoLiveConsentError, ReceiptId, UnavailableError
from volens.consent.errors import ConsentRestrictedError
from volens.enroll import RestrictionPendingError
from volens.enroll.pending_restrictions import HELD_S
from volens.erase import PeerAnswers
from volens.service.process import StopKeeper


@pytest.fixture(autouse=True)
def _short_patience() -> Iterator[None]:
    with lock_timeout(0.05):
        yield


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the write lock of the data file: the fault that a full disk gives too, a write that is refused."""
    with closing(sqlite3.connect(home / "volens.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Others:
    """Stands in for the other processes; implements `RestrictionPeers`."""

    def __init__(self) -> None:
        self.told: list[ReceiptId] = []
        self.settled: list[ReceiptId] = []

    def tell_restrictions(self, receipt_ids: Sequence[ReceiptId], problem: str) -> PeerAnswers:
        assert "locked" in problem
        self.told += receipt_ids
        return PeerAnswers(2, ("0123456789abcdef",))

    def settle_restrictions(self, receipt_ids: Sequence[ReceiptId]) -> None:
        self.settled += receipt_ids


@pytest.fixture
def others(house: House) -> Others:
    """The house as a process with a thread that retries, and with others beside it."""
    others, pending = Others(), house.site.changes.pending
    pending.peers, pending.retries = others, True
    return others


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def recorded(house: House, receipt_id: ReceiptId) -> bool:
    return house.site.changes.restricted_since(receipt_id) is not None


def retry(house: House) -> float:
    """Let the time pass after which a restriction is tried again, and try it."""
    pending = house.site.changes.pending
    later = pending._clock() + HELD_S + 1
    pending._clock = lambda: later
    return pending.work()


def test_matching_stops_at_once_and_the_restriction_is_recorded_later(house: House, others: Others) -> None:
    person, other = house.admit(), house.admit()
    assert house.sees(person)
    with locked(house.site.home):
        with pytest.raises(RestrictionPendingError, match=r"the restriction is not on the disk yet .*locked") as caught:
            house.site.changes.restrict(person.receipt_id)
        assert "in 2 others, but perhaps not in 0123456789abcdef" in str(caught.value)
        assert others.told == [person.receipt_id]
        assert not house.sees(person)
        with pytest.raises(ConsentRestrictedError):
            house.verify(person)
        with pytest.raises(ConsentRestrictedError):
            house.grant(person)
        assert house.sees(other)
        assert retry(house) > 0
        assert not recorded(house, person.receipt_id)
        assert "locked" in (house.site.changes.pending.unrecorded() or "")
    retry(house)
    assert recorded(house, person.receipt_id)
    assert others.settled == [person.receipt_id]
    assert len(house.store.paused) == 0, "its row decides now"
    assert house.site.changes.pending.unrecorded() is None
    assert not house.sees(person)
    assert house.site.changes.lift_restriction(person.receipt_id)
    assert house.sees(person)
    house.site.log.verify()


def test_a_pending_restriction_is_lifted_in_memory_and_never_recorded(house: House, others: Others) -> None:
    person = house.admit()
    with locked(house.site.home):
        with pytest.raises(RestrictionPendingError):
            house.site.changes.restrict(person.receipt_id)
        assert house.site.changes.lift_restriction(person.receipt_id)
        assert house.sees(person)
        assert others.settled == [person.receipt_id]
        with pytest.raises(UnavailableError):
            house.site.changes.lift_restriction(person.receipt_id)
    retry(house)
    assert not recorded(house, person.receipt_id)


@pytest.mark.usefixtures("others")
def test_a_recorded_restriction_is_not_lifted_while_the_store_cannot_be_written(house: House) -> None:
    person = house.admit()
    house.site.changes.restrict(person.receipt_id)
    with locked(house.site.home):
        with pytest.raises(RestrictionPendingError):  # a repeated call cannot know
            house.site.changes.restrict(person.receipt_id)
        with pytest.raises(UnavailableError):
            house.site.changes.lift_restriction(person.receipt_id)
        assert not house.sees(person)


def test_without_a_thread_that_retries_it_is_refused_and_the_person_is_matched(house: House) -> None:
    person = house.admit()
    with locked(house.site.home):
        with pytest.raises(UnavailableError) as caught:
            house.site.changes.restrict(person.receipt_id)
        assert not isinstance(caught.value, RestrictionPendingError)
        assert house.sees(person)


def test_a_consent_that_ended_or_was_never_given_is_not_kept_in_memory(house: House, others: Others) -> None:
    person = house.admit()
    with pytest.raises(NoLiveConsentError):
        house.site.changes.restrict(ReceiptId("0" * 32))
    with locked(house.site.home), pytest.raises(RestrictionPendingError):
        house.site.changes.restrict(person.receipt_id)
    house.withdraw(person)
    retry(house)
    assert others.settled == [person.receipt_id]
    assert len(house.store.paused) == 0


def test_a_renewal_waits_until_the_restriction_is_recorded_and_takes_it_over(house: House, others: Others) -> None:
    key, notice = SubjectKey.from_seed(b"\7" * 32), house.site.notice("lobby")
    taken = house.site.give_consent(notice, name="Ada", jurisdiction="FR", key=key)
    old = taken.receipt.claims.receipt_id
    with locked(house.site.home), pytest.raises(RestrictionPendingError):
        house.site.changes.restrict(old)
    with pytest.raises(UnavailableError, match="renew it in a minute"):
        house.site.changes.renew(old, notice, key=key)
    retry(house)
    new = house.site.changes.renew(old, notice, key=key).take_home.receipt.claims.receipt_id
    assert recorded(house, new)
    assert others.told == others.settled == [old]


def test_another_process_that_is_told_pauses_too_and_forgets_when_it_is_settled(house: House) -> None:
    person = house.admit()
    with (
        Site.open(house.site.home, load_extractor=no_models, clock=house.clock) as site,
        Site.open(house.site.home, load_extractor=no_models, clock=house.clock) as late,
        StopKeeper(house.site),
        StopKeeper(site),
    ):
        beside = House.of(site, house.people)
        assert beside.sees(person)
        with locked(house.site.home):
            with pytest.raises(RestrictionPendingError) as caught:
                house.site.changes.restrict(person.receipt_id)
            assert caught.value.answers.confirmed == 1
            assert not beside.sees(person)
            with StopKeeper(late):
                assert not House.of(late, house.people).sees(person), "one that starts asks the others"
        until(lambda: recorded(house, person.receipt_id))
        until(lambda: not beside.store.paused and not house.store.paused)
        assert not beside.sees(person)
        assert house.site.changes.lift_restriction(person.receipt_id)
        assert beside.sees(person)
