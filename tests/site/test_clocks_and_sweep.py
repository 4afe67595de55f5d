"""Expiry clocks on a real site: each ends matching at its second without a sweep, and the sweep erases and reports."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from connections import lock_timeout
from declared_gates import open_gates
from house import START, House, Person

from tests.unit.store.raw import DATA, tamper
from volens import verify_certificate
from volens.consent import EndReason, ErasureIncompleteError, InputError, NoLiveConsentError, RefusedError, SubjectKey
from volens.consent.law import ProfileCatalogue, shipped_profiles
from volens.enroll import end_replaced_consent
from volens.service.sample_notice import publish_sample_notice
from volens.store.people import clocked, consent_ended, sealed_references
from volens.store.people.people_list import ConsentFilter, consent_ids
from volens.store.promises.jurisdiction_clocks import JurisdictionClocks

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House.build(tmp_path / "home")
    for zone, days in (("long", 1098),):
        house.site.add_zone(zone, custody="operator", justification="a", alternative="b", retention_days=days)
        open_gates(house.site, zone)
        publish_sample_notice(house.site, zone, more="For long.")
    yield house
    house.site.close()


def give(house: House, key: SubjectKey, zone: str = "lobby", valid_days: int | None = None) -> Person:
    """Give consent with a key that the test keeps, and enroll."""
    take_home = house.site.give_consent(
        house.site.notice(zone), name="Ada Canary", jurisdiction="FR", key=key, valid_days=valid_days
    )
    return house.enroll(Person(take_home, house.face()))


def new_key(house: House) -> SubjectKey:
    return SubjectKey.from_seed(house.bits.randbytes(32))


def supersede(house: House, days: int, words: bytes = b"A new text.\n") -> None:
    publish_sample_notice(house.site, "lobby", more=words.decode(), supersedes_within_days=days)


def reason_of(house: House, person: Person) -> EndReason | None:
    with house.store.read() as connection:
        ended = consent_ended(connection, person.receipt_id)
    return None if ended is None else ended[0]


def expires(house: House) -> tuple[Person, str]:
    return give(house, new_key(house), valid_days=20), "lobby"


def has_shorter_retention(house: House) -> tuple[Person, str]:
    person = house.admit()
    assert house.site.clocks.shorten_retention("lobby", 20)[1] == 1
    return person, "lobby"


def is_inactive(house: House) -> tuple[Person, str]:
    person = house.admit("long")
    house.clock.move(days=1075)
    return person, "long"


def leaves(house: House) -> tuple[Person, str]:
    person = house.admit()
    assert house.site.clocks.leave([person.receipt_id], START + 20 * DAY) == []
    return person, "lobby"


def is_superseded(house: House) -> tuple[Person, str]:
    person = house.admit()
    supersede(house, 20)
    return person, "lobby"


WAYS: dict[EndReason, Callable[[House], tuple[Person, str]]] = {
    EndReason.EXPIRED: expires,
    EndReason.RETENTION: has_shorter_retention,
    EndReason.INACTIVE: is_inactive,
    EndReason.LEFT: leaves,
    EndReason.SUPERSEDED: is_superseded,
}


@pytest.mark.parametrize("reason", WAYS)
def test_each_clock_ends_matching_at_its_second_and_the_sweep_reports_the_reason(
    house: House, reason: EndReason
) -> None:
    person, zone = WAYS[reason](house)
    untouched = house.admit("long")
    house.clock.move(days=20, seconds=-1)
    assert house.site.clocks.due().soon.get(reason) == 1
    assert house.site.sweep().expired == ()
    assert house.sees(person, zone)
    house.grant(person)

    house.clock.move(seconds=1)

    # No sweep has run, but matching has stopped, 1:N and 1:1, also in a process that opens the site again.
    assert not house.sees(person, zone)
    with pytest.raises(NoLiveConsentError):
        house.grant(person)
    house.reopen()
    assert not house.sees(person, zone)
    assert house.site.clocks.due().now == {reason: 1}
    assert house.site.status().zones[0].live_consents + house.site.status().zones[1].live_consents == 2

    report = house.site.sweep()

    assert report.reasons == {reason.value: 1}
    certificate = verify_certificate(report.expired[0].certificate_path.read_bytes(), house.site.verifier_key)
    assert certificate.reason == reason.value
    assert reason_of(house, person) is reason
    assert house.sees(untouched, "long")
    assert house.site.sweep().expired == ()
    house.site.log.verify()


def test_a_consent_ends_by_the_earliest_clock(house: House) -> None:
    person = house.admit()
    house.site.clocks.leave([person.receipt_id], START + 30 * DAY)
    supersede(house, 10)
    house.site.clocks.shorten_retention("lobby", 20)
    house.clock.move(days=40)
    assert house.site.sweep().reasons == {"superseded": 1}


def test_a_profile_that_became_shorter_ends_consents_at_the_earlier_clock(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matching stops at the second, the list and the sweep say which clock it was, and people elsewhere stay."""
    person, visitor, elsewhere = house.admit("long"), house.admit("long"), house.admit("long", jurisdiction="GB")
    shorter = replace(shipped_profiles()["FR"].clocks, inactive_after_days=20)
    profile = replace(shipped_profiles()["FR"], clocks=shorter)
    monkeypatch.setattr(
        "volens.store.promises.jurisdiction_clocks.SHIPPED", JurisdictionClocks(ProfileCatalogue([profile]))
    )
    house.reopen()
    house.clock.move(days=10)
    house.visit(visitor)
    house.clock.move(days=10, seconds=-1)
    assert house.sees(person, "long")
    house.clock.move(seconds=1)

    assert [house.sees(one, "long") for one in (person, visitor, elsewhere)] == [False, True, True]
    with pytest.raises(NoLiveConsentError):
        house.grant(person)
    with house.store.read() as connection:
        filtered = ConsentFilter(ends_before=house.clock.time + SECOND)
        assert consent_ids(connection, filtered) == [person.receipt_id]
    assert house.site.sweep().reasons == {"inactive": 1}
    assert reason_of(house, person) is EndReason.INACTIVE


def test_a_visit_moves_only_the_inactivity_clock(house: House) -> None:
    visitor, absent = house.admit("long"), house.admit("long")
    house.clock.move(days=30, hours=5)
    house.visit(visitor)
    house.clock.move(days=1066)
    assert house.sees(visitor, "long")
    assert not house.sees(absent, "long")
    assert house.site.sweep().reasons == {"inactive": 1}
    house.clock.move(days=2)
    assert house.site.sweep().reasons == {"expired": 1}


def test_a_visit_is_recorded_once_a_day_and_by_the_day(house: House) -> None:
    person = house.admit()
    house.clock.move(days=3, hours=7)
    for _ in range(2):
        house.visit(person)
        with house.store.read() as connection:
            (one,) = clocked(connection)
        assert one.facts is not None
        assert one.facts.last_interaction == (START + 3 * DAY).replace(hour=0)
        house.clock.move(hours=1)


def test_a_door_opens_even_if_the_visit_cannot_be_recorded(house: House) -> None:
    person = house.admit()
    house.clock.move(days=1)
    with lock_timeout(0.01), house.store.write():
        house.visit(person)


def test_a_person_who_leaves_now_is_erased_at_once_in_every_zone(house: House) -> None:
    key = new_key(house)
    here, there, colleague = give(house, key), give(house, key, "long"), house.admit()

    erased = house.site.clocks.leave(house.site.receipts_of("ada canary"))

    assert sorted(one.reason for one in erased) == ["left", "left"]
    assert not house.sees(here)
    assert not house.sees(there, "long")
    assert house.sees(colleague)
    with pytest.raises(NoLiveConsentError, match="nothing was changed"):
        house.site.clocks.leave([here.receipt_id])
    with pytest.raises(NoLiveConsentError):
        house.site.clocks.leave([])


def test_a_leaving_date_can_be_moved_earlier_but_never_later(house: House) -> None:
    person = house.admit()
    house.site.clocks.leave([person.receipt_id], START + 30 * DAY)
    house.site.clocks.leave([person.receipt_id], START + 20 * DAY)
    with pytest.raises(RefusedError, match="never prolonged"):
        house.site.clocks.leave([person.receipt_id], START + 21 * DAY)
    house.clock.move(days=20)
    assert house.site.sweep().reasons == {"left": 1}


def test_a_superseding_notice_ends_older_consents_in_its_language(house: House) -> None:
    old = house.admit()
    publish_sample_notice(house.site, "lobby", "fr", more="Bonjour.")
    key = new_key(house)
    french = house.site.give_consent(house.site.notice("lobby", "fr"), name="Bea", jurisdiction="FR", key=key)
    supersede(house, 10)
    house.clock.move(days=1)
    new = house.site.give_consent(house.site.notice("lobby", "en"), name="Cleo", jurisdiction="FR", key=new_key(house))
    house.clock.move(days=9)
    assert house.site.sweep().reasons == {"superseded": 1}
    assert reason_of(house, old) is EndReason.SUPERSEDED
    with house.store.read() as connection:
        left = {one.receipt_id for one in clocked(connection)}
    assert left == {one.receipt.claims.receipt_id for one in (french, new)}


def test_a_notice_without_a_deadline_ends_nothing_and_an_old_text_is_a_new_version(
    house: House,
) -> None:
    person = house.admit()
    house.clock.move(days=1)
    publish_sample_notice(house.site, "lobby", more="Another.")
    house.clock.move(days=1)
    with house.store.read() as connection:
        (one,) = clocked(connection)
    assert one.facts is not None
    assert one.facts.superseded_at == []
    supersede(house, 5, b"We compare your face at the door.")  # the very text that the person agreed to
    house.clock.move(days=5)
    assert not house.sees(person)
    assert house.site.sweep().reasons == {"superseded": 1}


def test_a_new_consent_in_time_ends_the_old_one_and_needs_a_new_enrollment(house: House) -> None:
    key = new_key(house)
    old = give(house, key)
    with pytest.raises(RefusedError, match="already in force"):
        give(house, key)
    house.clock.move(days=1)
    supersede(house, 10)

    with pytest.raises(InputError):  # a mistake must not end the consent that the person has
        house.site.give_consent(house.site.notice("lobby"), name="Ada", jurisdiction="nowhere", key=key)
    assert house.sees(old)
    new = give(house, key)

    assert reason_of(house, old) is EndReason.SUPERSEDED
    house.clock.move(days=11)
    assert house.sees(new)
    assert house.site.sweep().expired == ()


def test_a_person_can_consent_again_after_expiry_without_a_sweep(house: House) -> None:
    key = new_key(house)
    old = give(house, key, valid_days=3)
    house.clock.move(days=3)
    new = give(house, key)
    assert reason_of(house, old) is EndReason.EXPIRED
    assert house.sees(new)


def test_a_consent_signed_while_a_superseding_notice_was_published_ends_with_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The notice is published after the person signed and before the consent is recorded.
    plain = end_replaced_consent

    def meanwhile(*_arguments: object) -> None:
        monkeypatch.setattr("volens.enroll.giving.end_replaced_consent", plain)
        house.clock.move(seconds=1)
        supersede(house, 2)

    monkeypatch.setattr("volens.enroll.giving.end_replaced_consent", meanwhile)
    person = house.admit()
    assert house.sees(person)
    house.clock.move(days=2)
    assert not house.sees(person)


@pytest.mark.parametrize("days", [0, 91, -1])
def test_a_term_of_zero_days_or_beyond_the_retention_is_refused(house: House, days: int) -> None:
    with pytest.raises(InputError, match=r"expected 1 to 90"):
        give(house, new_key(house), valid_days=days)


@pytest.mark.parametrize("days", [90, 91])
def test_a_retention_can_only_be_shortened(house: House, days: int) -> None:
    with pytest.raises(RefusedError, match="only be shortened"):
        house.site.clocks.shorten_retention("lobby", days)
    house.site.clocks.shorten_retention("lobby", 30)
    with pytest.raises(RefusedError, match="retention of 30 days"):
        house.site.clocks.shorten_retention("lobby", 40)
    with pytest.raises(InputError):
        house.site.clocks.shorten_retention("lobby", 0)


def test_the_alarm_is_raised_after_the_grace_period_and_cleared_by_the_sweep(house: House) -> None:
    house.admit()
    house.site.clocks.leave([house.admit().receipt_id], START + 89 * DAY)
    house.clock.move(days=91)
    assert str(house.site.clocks.alarm()).startswith("1 consents outlive their clock by more than 24 hours (1 left);")
    assert str(house.site.clocks.quick_alarm()).startswith("1 consents outlive their clock by more than 24 hours;")
    house.clock.move(seconds=1)
    assert "2 consents outlive their clock by more than 24 hours (1 expired, 1 left)" in str(house.site.clocks.alarm())
    assert house.site.clocks.alarm(3 * DAY) is None
    house.site.sweep()
    assert house.site.clocks.alarm(timedelta(0)) is None
    assert house.site.clocks.quick_alarm(timedelta(0)) is None


def test_an_expiry_column_set_too_late_raises_the_alarm_and_is_swept(house: House) -> None:
    # As after a restore that lost the shortening, or a manual change of the file: the facts count, not the row.
    person = house.admit()
    house.site.clocks.leave([person.receipt_id], START + DAY)
    tamper(house.site.home / DATA, "UPDATE live_consent SET expires_at = '2100-01-01T00:00:00Z'")
    house.clock.move(days=3)
    assert house.site.clocks.quick_alarm() is None
    assert isinstance(house.site.clocks.alarm(), ErasureIncompleteError)
    assert house.site.sweep().reasons == {"left": 1}


def test_a_consent_with_a_damaged_receipt_is_swept(house: House) -> None:
    for _ in range(2):
        house.admit()
    tamper(house.site.home / DATA, "UPDATE receipt SET token = 'x' WHERE rowid = 1")
    house.clock.move(days=90)
    assert house.site.sweep().reasons == {"expired": 2}


def test_a_failed_erasure_in_a_batch_does_not_stop_the_rest(house: House) -> None:
    people = [house.admit() for _ in range(3)]
    stuck = people[1]
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [stuck.receipt_id])
    (house.site.home / "copy").write_bytes(reference.sealed_embedding)
    house.clock.move(days=90)
    calls: list[tuple[int, int]] = []
    with pytest.raises(ErasureIncompleteError, match=r"1 of 3 erasures are not finished; the first: found .* in copy"):
        house.site.sweep(lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1][0] < calls[-1][1] == 3
    assert [reason_of(house, one) for one in people if one is not stuck] == [EndReason.EXPIRED] * 2
    assert len(list((house.site.home / "certificates").iterdir())) == 2
