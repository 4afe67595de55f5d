"""Consents in force as they are told to a person: of one key only, with what a damaged receipt leaves readable."""

from datetime import timedelta

import pytest
from house import House

from volens.consent import ReceiptId, SubjectKey
from volens.store.people.people_search import SeveralPeopleError, names_near, receipts_of
from volens.store.people.standing_consents import standing_among, standing_of_person


def test_the_consents_of_one_key_are_listed_with_zone_times_and_face(house: House) -> None:
    house.declare("lab")
    person, stranger = house.admit(), house.admit()
    key = SubjectKey.from_seed(bytes(32))
    given = house.site.give_consent(house.site.notice("lab"), name="Ada Canary Example", jurisdiction="FR", key=key)
    claims = given.receipt.claims

    with house.store.read() as connection:
        now = house.store.now()
        (own,) = standing_of_person(connection, person.subject_id, now)
        (other,) = standing_of_person(connection, claims.subject_id, now)
        assert standing_of_person(connection, person.subject_id, own.ends_at) == []
        among = standing_among(connection, [stranger.receipt_id, person.receipt_id, ReceiptId("f" * 32)])
    assert (own.zone, own.given_at, own.ends_at, own.enrolled) == ("lobby", now, now + timedelta(days=90), True)
    assert (other.zone, other.enrolled) == ("lab", False)
    assert {one.receipt_id for one in among} == {stranger.receipt_id, person.receipt_id}


def test_people_of_one_name_are_found_together_or_not_at_all(house: House) -> None:
    one, two = house.invite(name="Eva Neu"), house.invite(name="EVA  NEU")
    with pytest.raises(SeveralPeopleError, match="got a name that 2 people have") as caught:
        receipts_of(house.store, "eva neu")
    assert set(caught.value.receipt_ids) == {one.receipt_id, two.receipt_id}
    assert "Eva" not in str(caught.value)
    assert receipts_of(house.store, one.subject_id) == [one.receipt_id]
    assert receipts_of(house.store, "eva n") == []
    assert set(names_near(house.store, "eva n")) <= {"Eva Neu", "EVA  NEU"}


def test_an_external_id_of_two_people_finds_neither(house: House) -> None:
    house.declare("lab")
    here, there = house.invite(), house.invite("lab")
    house.site.link_external_id(here.receipt_id, "4711")
    house.site.link_external_id(there.receipt_id, "4711")
    with pytest.raises(SeveralPeopleError, match="got an external id of 2 people"):
        receipts_of(house.store, "4711")


def test_the_receipt_that_is_named_comes_before_the_others_of_its_key(house: House) -> None:
    house.declare("lab")
    key = SubjectKey.from_seed(bytes(32))
    ids = [
        house.site.give_consent(house.site.notice(zone), name="A", jurisdiction="FR", key=key).receipt.claims.receipt_id
        for zone in ("lobby", "lab")
    ]
    assert receipts_of(house.store, ids[0]) == ids
    assert receipts_of(house.store, ids[1]) == ids[::-1]
    assert sorted(receipts_of(house.store, "a")) == sorted(ids)
    groups = " ".join(ids[1].upper()[at : at + 4] for at in range(0, 32, 4))
    assert receipts_of(house.store, groups) == ids[::-1]
