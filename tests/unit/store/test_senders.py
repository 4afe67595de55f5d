"""Senders and their keys; external ids of people."""

import pytest
from house import House
from sqlalchemy.exc import IntegrityError

from tests.unit.store.raw import DATA, peek
from volens import SubjectKey
from volens.consent import InputError, NoLiveConsentError, RefusedError
from volens.store.people import add_external_id, consent_linked


def test_a_shared_secret_is_derived_for_each_key_and_not_stored(house: House) -> None:
    senders = house.site.programs.senders
    first, other = senders.add(label=" staff list "), senders.add(label="payroll", zone="lobby")
    second = senders.rotate(first.sender.sender_id)
    assert first.sender.label == "staff list"
    secrets = [bytes(senders.secret(key).buffer) for key in (first, second, other)]
    assert len(set(secrets)) == 3

    house.reopen()

    again = house.site.programs.senders
    assert sorted(bytes(again.secret(key).buffer) for key in again.keys_in_force()) == sorted(secrets)
    for path in house.site.home.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets)


def test_a_rotation_never_prolongs_an_older_key(house: House) -> None:
    senders = house.site.programs.senders
    sender = senders.add(label="a").sender
    senders.rotate(sender.sender_id, grace_hours=1)
    senders.rotate(sender.sender_id, grace_hours=720)
    assert [key.number for key in senders.keys_in_force()] == [1, 2, 3]
    house.clock.move(hours=1)
    assert [key.number for key in senders.keys_in_force()] == [2, 3]


@pytest.mark.parametrize("label", ["", "   ", "x" * 101, "a\nb"])
def test_an_empty_label_or_one_with_a_control_is_refused(house: House, label: str) -> None:
    with pytest.raises(InputError, match="got a label"):
        house.site.programs.senders.add(label=label)


def test_unknown_and_ended_senders_cannot_be_rotated(house: House) -> None:
    senders = house.site.programs.senders
    for act in (senders.rotate, senders.end):
        with pytest.raises(InputError, match="no sender of this id"):
            act("0" * 16)
    gone = senders.add(label="a").sender.sender_id
    senders.end(gone)
    senders.end(gone)
    with pytest.raises(InputError, match="was ended"):
        senders.rotate(gone)
    with pytest.raises(InputError, match="got 721 hours"):
        senders.rotate(gone, grace_hours=721)
    assert senders.list() == []
    assert [one.sender_id for one in senders.list(all_of_them=True)] == [gone]


def test_an_external_id_is_linked_once_in_a_zone_and_erased_with_the_consent(house: House) -> None:
    house.declare("lab")
    person, other, in_lab = house.invite(), house.invite(), house.invite("lab")
    link = house.site.link_external_id
    link(person.receipt_id, "Zoë 4711")
    link(person.receipt_id, " Zoe\u0308 4711 ")  # the same text in another Unicode form
    link(in_lab.receipt_id, "Zoë 4711")
    with pytest.raises(RefusedError, match="another external id"):
        link(person.receipt_id, "4712")
    with pytest.raises(RefusedError, match="another consent in zone 'lobby'"):
        link(other.receipt_id, "Zoë 4711")
    digests = peek(house.site.home / DATA, "SELECT digest FROM external_id")
    assert len(set(digests)) == 2  # two zones, which cannot be linked to each other

    house.withdraw(person)

    assert len(peek(house.site.home / DATA, "SELECT digest FROM external_id")) == 1
    with house.store.read() as connection:
        zone = house.site.notice("lobby").purpose
        assert consent_linked(connection, house.store.keyring, zone, "Zoë 4711") is None
    with pytest.raises(NoLiveConsentError):
        link(person.receipt_id, "Zoë 4711")


@pytest.mark.parametrize("external_id", ["", "  ", "x" * 201, "a\0b"])
def test_an_invalid_external_id_is_refused_before_anything_is_recorded(house: House, external_id: str) -> None:
    with pytest.raises(InputError, match="external id"):
        house.site.give_consent(
            house.site.notice("lobby"),
            name="A",
            jurisdiction="FR",
            key=SubjectKey.from_seed(bytes(32)),
            external_id=external_id,
        )
    assert house.site.status().zones[0].live_consents == 0


@pytest.mark.of_files
def test_an_external_id_without_a_live_consent_is_refused(house: House) -> None:
    person = house.invite()
    house.withdraw(person)
    with pytest.raises(NoLiveConsentError), house.store.write() as tx:
        add_external_id(tx, house.store.keyring, person.receipt_id, "1")
    with pytest.raises(IntegrityError), house.store.write() as tx:
        tx.connection.exec_driver_sql("INSERT INTO external_id VALUES ('r', 's', 'lobby', zeroblob(32))")
