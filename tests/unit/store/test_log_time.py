"""The time of a store never falls behind its newest log entry; a clock that does is refused, and can be corrected."""

from datetime import UTC, datetime, timedelta

import pytest
from house import START, House

from tests.unit.store.raw import DATA, tamper
from volens import Site
from volens.consent import TamperError, UnavailableError
from volens.store.log import CLOCK_TOLERANCE, store_time

NEWEST = datetime(2099, 3, 1, 12, tzinfo=UTC)
BEHIND = "this machine's clock says .*, but the newest entry of the audit log is of .*; set the clock right"


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (NEWEST + timedelta(days=400), NEWEST + timedelta(days=400)),
        (NEWEST + timedelta(seconds=1), NEWEST + timedelta(seconds=1)),
        (NEWEST, NEWEST),
        (NEWEST - timedelta(seconds=1), NEWEST),
        (NEWEST - CLOCK_TOLERANCE, NEWEST),
    ],
)
def test_time_is_the_later_of_the_clock_and_the_newest_entry(clock: datetime, expected: datetime) -> None:
    assert store_time(clock, NEWEST) == expected


@pytest.mark.parametrize("behind", [CLOCK_TOLERANCE + timedelta(seconds=1), timedelta(days=60), timedelta(days=20000)])
def test_a_clock_further_behind_than_the_tolerance_is_refused(behind: timedelta) -> None:
    with pytest.raises(UnavailableError, match=BEHIND):
        store_time(NEWEST - behind, NEWEST)


def test_without_an_entry_every_clock_is_right() -> None:
    assert store_time(NEWEST, None) == NEWEST


def test_a_clock_set_back_does_not_bring_an_expired_consent_back(house: House) -> None:
    """C2: while the site is open, and after it was closed."""
    person = house.admit()
    house.clock.move(days=90)
    assert not house.sees(person)
    house.admit()  # an entry of today
    house.clock.move(days=-60)

    with pytest.raises(UnavailableError, match=BEHIND):
        house.sees(person)
    with pytest.raises(UnavailableError, match=BEHIND):
        house.withdraw(person)
    house.site.close()
    with pytest.raises(UnavailableError, match=BEHIND):
        Site.open(house.site.home, clock=house.clock)

    house.clock.move(days=60)
    house.reopen()
    assert not house.sees(person)


def test_an_ntp_step_back_keeps_the_door_open_and_no_term_gets_longer(house: House) -> None:
    person = house.invite()
    house.clock.move(days=90, seconds=-1)
    house.enroll(person)
    house.admit()
    assert house.sees(person)
    house.clock.move(seconds=1)
    house.admit()
    for _ in range(3):
        house.clock.move(minutes=-4)
        house.admit()
        assert house.store.now() == START + timedelta(days=90)
        assert not house.sees(person)
        house.clock.move(minutes=4)


def test_entries_of_another_process_count(house: House) -> None:
    other = Site.open(house.site.home, clock=lambda: house.clock.time + timedelta(days=3))
    with other:
        other.add_zone("other", custody="operator", justification="a", alternative="b", retention_days=1)
    assert house.store.now() == START

    with pytest.raises(UnavailableError, match=BEHIND):
        house.site.feed.follow()
    with pytest.raises(UnavailableError, match=BEHIND):
        house.store.now()
    with pytest.raises(UnavailableError, match=BEHIND), house.store.write():
        pass
    assert house.site.feed.late_s() == float("inf")

    Site.correct_time(house.site.home, clock=house.clock)
    house.site.feed.follow()
    assert house.store.now() == START


def test_a_clock_that_was_ahead_is_corrected_with_an_entry_in_the_log(house: House) -> None:
    person = house.admit()
    house.clock.move(days=3650)
    house.reopen()
    house.site.add_zone("other", custody="operator", justification="a", alternative="b", retention_days=1)
    house.site.close()
    house.clock.move(days=-3650)

    corrected = Site.correct_time(house.site.home, clock=house.clock, random=house.bits.randbytes)

    assert corrected == (START + timedelta(days=3650), START)
    house.reopen()
    assert house.sees(person)
    (event,) = house.site.log.opened("time.corrected")
    assert event.at == START
    assert dict(event.details) == {"from": "2109-02-27T12:00:00Z", "to": "2099-03-01T12:00:00Z"}
    house.site.log.verify()


def test_a_clock_that_is_not_behind_is_not_corrected(house: House) -> None:
    before = house.site.log.verify().size
    house.site.close()

    Site.correct_time(house.site.home, clock=house.clock)

    house.reopen()
    assert house.site.log.verify().size == before


def test_a_malformed_newest_leaf_is_refused(house: House) -> None:
    house.site.close()
    tamper(house.site.home / DATA, "UPDATE audit_event SET leaf = x'00' WHERE seq = (SELECT max(seq) FROM audit_event)")

    with pytest.raises(TamperError, match="the newest leaf of the audit log is malformed; restore the data file"):
        Site.open(house.site.home, clock=house.clock)
