"""Renewal: the new consent takes the place of the old one in one transaction, and what should stay stays."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from house import House, Person
from patience import PATIENCE_S
from pins import cheap_pins

from volens import verify_certificate
from volens.consent import Badge, PersonSecret, ReceiptId, SecondFactor, ShownFactor, SubjectKey
from volens.consent.errors import ConsentExpiredError, InputError, NoLiveConsentError, RefusedError
from volens.consent.receipt_offer import read_offer
from volens.enroll import Renewed
from volens.service.sample_notice import publish_sample_notice
from volens.store.people import clocked, name_of

SEED = b"\7" * 32


def invite(house: House, zone: str = "lobby", external_id: str | None = None) -> Person:
    key = SubjectKey.from_seed(SEED)
    notice = house.site.notice(zone)
    home = house.site.give_consent(
        notice, name="Ada Example", jurisdiction="FR", key=key, external_id=external_id, valid_days=30
    )
    person = Person(home, house.face())
    house.people.append(person)
    return person


def renew(house: House, person: Person, **options: object) -> Renewed:
    zone = person.take_home.receipt.claims.purpose
    if person.take_home.receipt.claims.custody.value == "badge":
        badges: list[bytes] = []
        options = {"carried": person.carried, "hand_over": lambda badge: badges.append(badge.to_bytes())} | options
    elif person.take_home.secret is not None:
        options = {"carried": person.take_home.secret} | options
    done = house.site.changes.renew(
        person.receipt_id,
        house.site.notice(zone),
        key=SubjectKey.from_seed(SEED),
        **options,  # type: ignore[arg-type]
    )
    person.take_home = done.take_home
    if person.badge is not None:
        (person.badge,) = badges
    return done


def test_a_renewed_person_matches_under_the_new_receipt_and_the_old_one_is_certified(house: House) -> None:
    person, other = house.enroll(invite(house)), house.admit()
    old, old_reference = person.take_home, person.reference_id
    house.clock.move(days=20)

    done = renew(house, person)

    assert house.sees(person)
    assert house.sees(other)
    assert house.look_at(person.face).match.receipt_id == done.take_home.receipt.claims.receipt_id  # type: ignore[union-attr]
    assert done.problem is None
    assert done.ended is not None
    certificate = verify_certificate(done.ended.certificate_path.read_bytes(), house.site.verifier_key)
    assert certificate.reason == "renewed"
    assert certificate.statement["continued"] == {
        "receipt_sha256": certificate.statement["continued"]["receipt_sha256"],
        "kept": {},
        "sealed_again": {"sealed name": 1, "sealed embedding": 1},
    }
    assert certificate.statement["destroyed"]["sealed embedding"] == 1
    assert name_of(house.store, done.take_home.receipt.claims.receipt_id) == "Ada Example"
    assert old_reference not in {one for each in house.galleries.built().values() for one in each.engine.held()}
    with pytest.raises(NoLiveConsentError):
        house.grant(Person(old, person.face))
    # Past the end of the old consent the new one is still in force.
    house.clock.move(days=15)
    assert house.sees(person)
    house.reopen()
    assert house.sees(person)
    house.site.log.verify()
    assert house.withdraw(person).reason == "withdrawn"
    assert not house.sees(person)


def test_second_factor_staff_list_link_and_leaving_date_go_on(house: House) -> None:
    house.declare("lab", second_factor="pin")
    person = house.enroll(invite(house, "lab", external_id="4711"))
    with cheap_pins(), ShownFactor.of(SecondFactor.PIN, "719035") as pin:
        house.site.factors.set(person.receipt_id, pin)
        leaves_at = house.clock.time.replace(hour=0)
        leaves_at = leaves_at.replace(month=leaves_at.month + 2)
        house.site.clocks.leave([person.receipt_id], leaves_at)
        house.clock.move(days=1)
        done = renew(house, person)
        assert house.look_at(person.face, "lab", factor=pin).match is not None
    assert done.ended is not None
    certificate = verify_certificate(done.ended.certificate_path.read_bytes(), house.site.verifier_key)
    assert certificate.statement["continued"]["kept"] == {"leaving dates": 1, "external ids": 1, "second factors": 1}
    assert "second factors" not in certificate.statement["destroyed"]
    with pytest.raises(RefusedError, match="has this external id already"):
        house.site.link_external_id(house.invite("lab").receipt_id, "4711")
    with house.store.read() as connection:
        (mine,) = clocked(connection, receipt_id=person.receipt_id)
    assert mine.expires_at == leaves_at


@pytest.mark.parametrize("custody", ["subject_key", "badge"])
def test_where_the_person_holds_the_key_they_get_a_new_half_and_the_old_one_opens_nothing(
    house: House, custody: str
) -> None:
    house.declare("vault", custody=custody)
    person = house.enroll(invite(house, "vault"))
    old = Badge.parse(person.badge) if person.badge else person.take_home.secret
    assert house.verify(person, person.carried).match is not None

    renew(house, person)

    assert house.verify(person, person.carried).match is not None
    with pytest.raises(RefusedError):
        house.verify(person, old)


def test_a_renewal_is_refused_and_changes_nothing(house: House) -> None:
    person = house.enroll(invite(house))
    notice = house.site.notice("lobby")
    with pytest.raises(RefusedError, match="not the one for which"):
        house.site.changes.renew(person.receipt_id, notice, key=SubjectKey.from_seed(b"\1" * 32))
    publish_sample_notice(house.site, "lobby", more="another text")
    with pytest.raises(Exception, match="newer notice"):
        house.site.changes.renew(person.receipt_id, notice, key=SubjectKey.from_seed(SEED))

    def fail(*_: object) -> None:
        raise RefusedError("the printer is off")

    with pytest.raises(RefusedError, match="printer"):
        renew(house, person, in_transaction=fail)
    assert house.sees(person)
    house.clock.move(hours=2)
    assert house.site.sweep().stray_secrets == 0
    house.clock.move(days=31)
    with pytest.raises(ConsentExpiredError):
        renew(house, person)


def test_matching_does_not_stop_while_a_consent_is_renewed(house: House) -> None:
    person = house.enroll(invite(house))
    begun, is_over, seen = threading.Event(), threading.Event(), list[bool]()

    def watch() -> None:
        while not is_over.is_set() or not seen:
            seen.append(house.sees(person))
            begun.set()

    door = threading.Thread(target=watch)
    door.start()
    assert begun.wait(PATIENCE_S)
    for _ in range(3):
        renew(house, person)
    is_over.set()
    door.join(PATIENCE_S)
    assert seen
    assert all(seen)


def sign_and_accept(house: House, person: Person, new_half: Callable[[ReceiptId], bytes | PersonSecret]) -> Renewed:
    """Renew as the person's browser does, which makes the new half for the receipt that it signs."""
    notice = house.site.notice("vault")
    offer = house.site.changes.offer_renewal(person.receipt_id, notice)
    return house.site.changes.accept_renewal(
        person.receipt_id,
        notice,
        offer.sign(SubjectKey.from_seed(SEED)),
        carried=person.carried,
        new_half=new_half(read_offer(offer.document).claims.receipt_id),
        hand_over=None if person.badge is None else lambda _badge: None,
    )


def test_the_person_makes_the_new_half_and_the_site_neither_makes_nor_hands_back_one(house: House) -> None:
    house.declare("vault", custody="subject_key")
    person = house.enroll(invite(house, "vault"))
    with PersonSecret(b"\5" * 32) as made:
        person.take_home = sign_and_accept(house, person, lambda _: made).take_home
        assert person.take_home.secret is None
        assert house.verify(person, made).match is not None


def test_without_photos_the_commitment_to_the_new_half_is_enough_and_with_photos_it_is_not(house: House) -> None:
    house.declare("vault", custody="subject_key")
    person = invite(house, "vault")
    with PersonSecret(b"\5" * 32) as made:
        new = sign_and_accept(house, person, made.commitment).take_home
        assert new.secret is None
        person.take_home = replace(new, secret=made)
        house.enroll(person)
        with pytest.raises(InputError, match="send the secret, because photos are enrolled"):
            sign_and_accept(house, person, lambda _: b"\6" * 32)
        with pytest.raises(InputError, match="got a commitment of 5 bytes"):
            sign_and_accept(house, person, lambda _: b"short")
        assert house.verify(person, made).match is not None


@pytest.mark.parametrize("custody", ["operator", "badge"])
def test_a_new_half_is_refused_where_the_person_holds_no_secret(house: House, custody: str) -> None:
    house.declare("vault", custody=custody)
    person = house.enroll(invite(house, "vault"))
    with PersonSecret(b"\5" * 32) as made, pytest.raises(InputError, match="none in another"):
        sign_and_accept(house, person, lambda _: made)
