"""Admission: the receipt that was recorded, byte for byte, here, now, or no grant."""

from datetime import timedelta
from pathlib import Path

import pytest
from house import START, House, Person
from signing import sign_receipt

from tests.unit.store.raw import DATA, seal_again, tamper
from volens.consent import (
    ConsentGrant,
    NoLiveConsentError,
    Purpose,
    ReceiptId,
    RefusedError,
    SubjectKey,
    UnverifiedReceipt,
    VolensError,
)
from volens.consent.errors import ConsentExpiredError, DamagedDataError, ForeignReceiptError, ReceiptSignatureError
from volens.store.people import admit_receipt, check_receipt
from volens.store.promises import zone_of

SEED = bytes(range(32))


def invite(house: House, seed: bytes = SEED) -> Person:
    key = SubjectKey.from_seed(seed)
    take_home = house.site.give_consent(house.site.notice("lobby"), name="Ann", jurisdiction="FR", key=key)
    return Person(take_home, house.face())


def again(
    house: House,
    person: Person,
    *,
    seed: bytes = SEED,
    jurisdiction: str = "FR",
    receipt_id: ReceiptId | None = None,
) -> UnverifiedReceipt:
    """Sign another receipt, under the same id unless one is given."""
    with house.store.read() as connection:
        zone = zone_of(connection, Purpose("lobby"))
    return sign_receipt(
        zone,
        house.site.notice("lobby"),
        house.store.site.controller,
        receipt_id=receipt_id or person.receipt_id,
        jurisdiction=jurisdiction,
        key=SubjectKey.from_seed(seed),
        now=house.store.now(),
        record=house.site.declarations.record("lobby", jurisdiction),
    )


def admit(house: House, receipt: UnverifiedReceipt, purpose: str | None = None) -> ConsentGrant:
    with house.store.read() as connection:
        return admit_receipt(house.store, connection, receipt, None if purpose is None else Purpose(purpose))


def refused(house: House, receipt: UnverifiedReceipt, kind: type[VolensError], words: str) -> None:
    with pytest.raises(VolensError, match=words) as caught:
        admit(house, receipt)
    assert type(caught.value) is kind


def test_the_recorded_receipt_gives_a_grant_for_its_own_zone(house: House) -> None:
    person = invite(house)

    grant = admit(house, person.take_home.receipt)

    assert (grant.receipt_id, grant.subject_id, grant.purpose) == (person.receipt_id, person.subject_id, "lobby")
    assert grant.checked_at == START
    assert grant.expires_at == START + timedelta(days=90)
    with house.store.read() as connection:
        assert grant.receipt_sha256 == check_receipt(connection, person.take_home.receipt).sha256


def test_a_receipt_signed_again_with_the_same_content_is_the_same(house: House) -> None:
    person = invite(house)
    assert again(house, person).token == person.take_home.receipt.token  # Ed25519 is deterministic
    admit(house, again(house, person))


def test_another_receipt_by_the_same_person_under_the_same_id_is_refused(house: House) -> None:
    person = invite(house)
    refused(
        house,
        again(house, person, jurisdiction="DE"),
        ReceiptSignatureError,
        "integrity: the receipt is not the one recorded when the consent was given",
    )


def test_another_persons_receipt_under_the_same_id_is_refused(house: House) -> None:
    person = invite(house)
    refused(house, again(house, person, seed=bytes(32)), ReceiptSignatureError, "integrity")


def test_a_receipt_whose_signature_was_changed_is_refused(house: House) -> None:
    token = invite(house).take_home.receipt.token
    body, _, signature = token.rpartition(".")
    forged = UnverifiedReceipt.parse(f"{body}.{'A' * (len(signature) - 1)}A".encode())
    refused(house, forged, ReceiptSignatureError, "integrity")


@pytest.mark.parametrize("changed", ["token", "subject_key"])
def test_a_changed_stored_receipt_gives_no_grant(house: House, changed: str) -> None:
    person = invite(house)
    value: object = {
        "token": again(house, person, jurisdiction="DE").token,
        "subject_key": SubjectKey.from_seed(bytes(32)).public.jwk,
    }[changed]
    tamper(house.site.home / DATA, f"UPDATE receipt SET {changed} = ?", value)  # noqa: S608  names of our own

    refused(house, person.take_home.receipt, ReceiptSignatureError, "integrity")


def test_a_receipt_and_key_replaced_by_an_attacker_give_no_grant(house: House) -> None:
    person = invite(house)
    mine = again(house, person, seed=bytes(32))
    tamper(
        house.site.home / DATA,
        "UPDATE receipt SET token = ?, subject_key = ?",
        mine.token,
        SubjectKey.from_seed(bytes(32)).public.jwk,
    )

    refused(house, person.take_home.receipt, ReceiptSignatureError, "integrity")
    refused(house, mine, DamagedDataError, "were changed by another program")
    seal_again(house.store)
    refused(house, mine, NoLiveConsentError, "no consent is in force for this receipt")


def test_an_unknown_receipt_has_no_consent_in_force(house: House) -> None:
    person = invite(house)
    unknown = again(house, person, receipt_id=ReceiptId("0" * 32))
    refused(house, unknown, NoLiveConsentError, "no consent is in force for this receipt")


def test_a_receipt_whose_rows_vanished_is_tampering(house: House) -> None:
    person = invite(house)
    tamper(house.site.home / DATA, "DELETE FROM live_consent")
    tamper(house.site.home / DATA, "DELETE FROM receipt")
    refused(house, person.take_home.receipt, DamagedDataError, "are missing")


def test_an_ended_consent_and_an_unknown_one_give_the_same_error(house: House) -> None:
    person = invite(house)
    house.withdraw(person)
    refused(house, person.take_home.receipt, NoLiveConsentError, "no consent is in force for this receipt")


def test_a_receipt_of_another_site_is_foreign(house: House, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", seed=9)
    person = invite(other)
    other.site.close()
    refused(house, person.take_home.receipt, ForeignReceiptError, "signed for another site")


def test_a_receipt_for_another_zone_is_foreign_there(house: House) -> None:
    person = invite(house)
    with pytest.raises(ForeignReceiptError, match="is for zone 'lobby', not for 'lab'"):
        admit(house, person.take_home.receipt, "lab")


def test_an_expired_receipt_is_refused_from_the_second_of_its_end(house: House) -> None:
    person = invite(house)
    house.clock.move(days=90, seconds=-1)
    admit(house, person.take_home.receipt)
    house.clock.move(seconds=1)
    refused(house, person.take_home.receipt, ConsentExpiredError, "this consent has expired")


def test_a_term_that_the_database_cuts_short_ends_the_grant(house: House) -> None:
    person = invite(house)
    tamper(house.site.home / DATA, "UPDATE live_consent SET expires_at = '2099-03-01T12:00:00Z'")
    seal_again(house.store)
    refused(house, person.take_home.receipt, ConsentExpiredError, "this consent has expired")


def test_a_receipt_dated_in_the_future_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = invite(house)
    # Not by the clock: one that is before the log entry of this consent is refused for that reason.
    monkeypatch.setattr("volens.store.store.Store.now", lambda _: START - timedelta(minutes=6))
    refused(house, person.take_home.receipt, RefusedError, "dated in the future")
