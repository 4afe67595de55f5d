"""Leases of a site: who is in one, when it is revoked, and what its holder may decide with it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import numpy as np
import pytest
from house import DIMENSION, MODEL, START, THRESHOLD, House, Person

from volens.consent import InputError, Purpose, RefusedError, TamperError, UnknownError
from volens.consent.errors import ZonePausedError
from volens.consent.lease import LeaseDoor, drift_margin_s
from volens.identify import lease_giving
from volens.identify.lease_giving import GivenLease, give_lease
from volens.index.held_lease import HeldLease
from volens.service.sample_notice import publish_sample_notice
from volens.store.keys.lease_boxes import open_handle
from volens.store.programs import Role
from volens.store.programs.leases import Leases

TERM = 60


@pytest.fixture
def leased(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", 0.0)
    house.site.zones.set_lease("lobby", TERM)
    publish_sample_notice(house.site, "lobby")
    return house


def door_of(house: House, zone: str = "lobby") -> str:
    credential, _token = house.site.programs.credentials.issue(label="left door", role=Role.DOOR, zone=zone)
    return credential.credential_id


def give(house: House, door: str) -> GivenLease:
    return give_lease(house.store, door, MODEL, lambda _zone: THRESHOLD)


def hold(
    house: House, given: GivenLease, door: str, clock: Callable[[], float] = lambda: 0.0, *, asked_at_s: float = 0.0
) -> HeldLease:
    return HeldLease.opened(
        given.token,
        given.key,
        given.references,
        LeaseDoor(house.store.verifier_key.public_keys, house.store.site.controller.site_id, Purpose("lobby"), door),
        asked_at_s=asked_at_s,
        dimension=DIMENSION,
        clock=clock,
    )


def knows(held: HeldLease, person: Person) -> bool:
    return held.best(person.face) is not None


def test_a_door_decides_with_a_lease_about_those_who_agreed_to_it(leased: House) -> None:
    ada, stranger = leased.admit(), leased.face()
    door = door_of(leased)
    given = give(leased, door)
    held = hold(leased, given, door)
    assert held.claims == given.claims
    assert (held.claims.term_seconds, held.claims.people) == (TERM, 1)
    found = held.best(ada.face)
    assert found is not None
    assert open_handle(leased.store.keyring, held.handle(found[0]), door, held.claims.lease_id) == ada.reference_id
    assert held.best(stranger) is None


def test_a_lease_contains_no_one_whose_receipt_says_less(house: House) -> None:
    before = house.admit()
    house.site.zones.set_lease("lobby", TERM)
    publish_sample_notice(house.site, "lobby")
    after = house.admit()
    door = door_of(house)
    held = hold(house, give(house, door), door)
    assert (knows(held, before), knows(held, after)) == (False, True)
    house.site.zones.set_lease("lobby", TERM + 1)
    assert give(house, door).claims.people == 0
    house.site.zones.set_lease("lobby", 30)
    assert give(house, door).claims.people == 1


def test_a_lease_contains_no_one_whose_consent_ends_within_its_term(leased: House) -> None:
    leased.admit()
    door = door_of(leased)
    leased.clock.time = START
    leased.clock.move(days=90, seconds=-TERM - 30)
    assert give(leased, door).claims.people == 1
    leased.clock.move(seconds=30)
    assert give(leased, door).claims.people == 0


def test_a_lease_contains_no_one_who_withdrew_or_paused(leased: House) -> None:
    gone, paused, here = leased.admit(), leased.admit(), leased.admit()
    door = door_of(leased)
    assert give(leased, door).claims.people == 3
    leased.withdraw(gone)
    leased.site.changes.restrict(paused.receipt_id)
    held = hold(leased, give(leased, door), door)
    assert [knows(held, one) for one in (gone, paused, here)] == [False, False, True]
    # Stopped in memory, because the disk is full: not in the store yet.
    leased.store.stopped.add([here.receipt_id])
    assert give(leased, door).claims.people == 0


ENDS: Final[dict[str, Callable[[House, Person, str], object]]] = {
    "withdrawn": lambda house, person, _door: house.withdraw(person),
    "paused": lambda house, person, _door: house.site.changes.restrict(person.receipt_id),
    "objected": lambda house, person, _door: house.site.rights.carry_out(
        house.site.rights.open("objection", [person.receipt_id]).request_id
    ),
    "left": lambda house, person, _door: house.site.clocks.leave([person.receipt_id]),
    "leaves within the term": lambda house, person, _door: house.site.clocks.leave(
        [person.receipt_id], house.clock() + timedelta(seconds=TERM)
    ),
    "zone paused": lambda house, _person, _door: house.site.zones.pause("lobby"),
    "zone removed": lambda house, _person, _door: house.site.zones.remove("lobby", erase_everyone=True),
    "zone changed": lambda house, _person, _door: house.site.zones.set_fpir("lobby", "0.01%"),
    "credential ended": lambda house, _person, door: house.site.programs.credentials.end(door),
    "by hand": lambda house, _person, door: house.site.programs.leases.revoke(door),
}


@pytest.mark.parametrize("why", list(ENDS))
def test_what_ends_or_changes_what_doors_decide_revokes_their_leases(leased: House, why: str) -> None:
    person, door = leased.admit(), door_of(leased)
    leases = Leases(leased.store)
    lease_id = give(leased, door).claims.lease_id
    assert leases.acknowledge(door, lease_id, holds=True)
    ENDS[why](leased, person, door)
    assert not leases.acknowledge(door, lease_id, holds=True)
    assert [one.acknowledged_at for one in leases.list()] == [None]
    assert not leases.acknowledge(door, lease_id, holds=False)
    assert [one.acknowledged_at for one in leases.list()] == [leased.clock()]
    leased.clock.move(seconds=TERM + 10)
    assert leases.list() == []


def test_a_consent_that_ends_earlier_revokes_the_leases_that_could_outlive_it(leased: House) -> None:
    leased.admit()
    leased.clock.move(days=10, seconds=-300)
    door, leases = door_of(leased), Leases(leased.store)
    lease = give(leased, door).claims
    assert lease.people == 1
    leased.site.clocks.shorten_retention("lobby", 20)
    assert leases.acknowledge(door, lease.lease_id, holds=True), "the lease ends long before"
    leased.site.clocks.shorten_retention("lobby", 10)
    assert not leases.acknowledge(door, lease.lease_id, holds=True)


def test_a_stop_of_collection_leaves_leases_as_they_are(leased: House) -> None:
    leased.admit()
    door = door_of(leased)
    lease = give(leased, door).claims
    leased.site.cohorts.stop_collecting(None, "lobby")
    assert Leases(leased.store).acknowledge(door, lease.lease_id, holds=True), "people who agreed are still matched"


def test_a_lease_that_was_given_after_a_stop_does_not_count_for_it(leased: House) -> None:
    ada, other, door = leased.admit(), leased.admit(), door_of(leased)
    since = leased.site.changes.restrict(ada.receipt_id)
    leased.clock.move(seconds=1)
    give(leased, door)
    leased.site.changes.restrict(other.receipt_id)
    assert leased.site.zones.stop_at("lobby", since).stopped_everywhere_at == since
    assert [one.door for one in leased.site.zones.stop_at("lobby", leased.clock()).holders] == ["left door"]


def test_a_door_that_got_a_new_lease_holds_no_older_one(leased: House) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    older, newer = give(leased, door).claims.lease_id, give(leased, door).claims.lease_id
    assert leases.acknowledge(door, older, holds=True), "the newer one may still be on its way"
    leased.clock.move(seconds=1)
    assert leases.acknowledge(door, newer, holds=True)
    assert not leases.acknowledge(door, older, holds=True)
    (one,) = leases.list()
    assert one.acknowledged_at is None, "the newer one is held"


def test_a_revoked_door_gets_no_lease_until_it_is_allowed_again(leased: House) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    lease_id = give(leased, door).claims.lease_id
    stop = leases.revoke(door)
    assert (stop.stopped_at, [one.door for one in stop.holders]) == (leased.clock(), ["left door"])
    assert leases.revoke(door) == stop, "a repeated call says the same"
    with pytest.raises(RefusedError, match="the leases of this door were revoked"):
        give(leased, door)
    leases.allow(door)
    leases.allow(door)
    assert give(leased, door).claims.lease_id != lease_id
    with pytest.raises(UnknownError):
        leases.revoke("0" * 16)


def test_a_lease_is_refused_where_a_door_could_not_keep_the_rules_of_the_zone(leased: House) -> None:
    door = door_of(leased)
    leased.site.zones.pause("lobby")
    with pytest.raises(ZonePausedError):
        give(leased, door)
    leased.site.zones.resume("lobby")
    leased.site.zones.set_lease("lobby", 0)
    with pytest.raises(RefusedError, match="has no leases"):
        give(leased, door)
    desk, _token = leased.site.programs.credentials.issue(label="desk", role=Role.DESK, zone="lobby")
    for other in (desk.credential_id, "0" * 16):
        with pytest.raises((RefusedError, UnknownError)):
            give(leased, other)
    leased.site.programs.credentials.end(door)
    with pytest.raises(RefusedError, match="not in force"):
        give(leased, door)


def test_a_zone_with_too_many_people_has_no_leases(leased: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_giving, "MAX_LEASED_PEOPLE", 1)
    door = door_of(leased)
    leased.admit()
    assert give(leased, door).claims.people == 1
    leased.admit()
    with pytest.raises(RefusedError, match="more than 1 people"):
        give(leased, door)


def test_a_lease_ends_by_the_holders_clock_and_its_references_are_zeroed(leased: House) -> None:
    ada, door = leased.admit(), door_of(leased)
    now = [0.0]
    held = hold(leased, give(leased, door), door, lambda: now[0])
    memory = held._vectors  # what must be zero afterwards
    assert memory is not None
    now[0] = TERM - drift_margin_s(TERM) - 0.1
    assert knows(held, ada)
    before = np.array(memory)
    now[0] += 0.1
    assert not knows(held, ada)
    assert before.any()
    assert not memory.any()
    now[0] = 1.0
    assert not held.is_usable, "a clock that is set back brings nothing back"


def test_the_key_of_one_lease_opens_no_other(leased: House) -> None:
    leased.admit()
    door = door_of(leased)
    older, newer = give(leased, door), give(leased, door)
    mixed = GivenLease(newer.token, newer.claims, older.key, newer.references)
    with pytest.raises(TamperError):
        hold(leased, mixed, door)
    with pytest.raises(TamperError, match="another list of references"):
        hold(leased, GivenLease(newer.token, newer.claims, newer.key, older.references), door)
    other = door_of(leased)
    with pytest.raises(TamperError, match="another door"):
        hold(leased, newer, other)
    with pytest.raises(InputError):
        hold(leased, GivenLease("a.b.c", newer.claims, newer.key, newer.references), door)
    handle = hold(leased, newer, door).handle(0)
    with pytest.raises(TamperError):
        open_handle(leased.store.keyring, handle, door, older.claims.lease_id)
    with pytest.raises(TamperError):
        open_handle(leased.store.keyring, handle, other, newer.claims.lease_id)


def test_a_person_whose_rows_were_changed_is_left_out(leased: House) -> None:
    ada, door = leased.admit(), door_of(leased)
    with leased.store.data.write() as connection:
        connection.exec_driver_sql(
            "UPDATE live_consent SET expires_at = '2099-05-29T12:00:00Z' WHERE receipt_id = ?", (ada.receipt_id,)
        )
    assert give(leased, door).claims.people == 0


def test_rows_of_leases_are_deleted_an_hour_after_their_end(leased: House) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    old = give(leased, door).claims.lease_id
    leased.clock.move(hours=1, seconds=TERM)
    give(leased, door)
    assert leases.is_revoked(old)
    leased.clock.move(seconds=10)
    newest = give(leased, door).claims.lease_id
    with pytest.raises(UnknownError, match="no such lease"):
        leases.acknowledge(door, old, holds=True)
    with pytest.raises(UnknownError, match="no such lease"):
        leases.acknowledge(door_of(leased), newest, holds=True)
