"""Withdrawal: a consent is ended by the receipt that the person signed, or by the withdrawal code."""

from pathlib import Path

import pytest
from house import House, Person
from signing import sign_receipt

from tests.unit.store.raw import DATA, tamper
from volens.consent import (
    InputError,
    NoLiveConsentError,
    Purpose,
    SubjectKey,
    TamperError,
    UnverifiedReceipt,
    WithdrawalCode,
)
from volens.consent.errors import ReceiptError, ReceiptSignatureError
from volens.rights import consent_of_code, consent_of_receipt
from volens.store.promises import zone_of

SEED = bytes(range(32))


@pytest.fixture
def person(house: House) -> Person:
    key = SubjectKey.from_seed(SEED)
    take_home = house.site.give_consent(house.site.notice("lobby"), name="Ann", jurisdiction="FR", key=key)
    return house.enroll(Person(take_home, house.face()))


def signed(house: House, person: Person, seed: bytes, jurisdiction: str = "FR") -> UnverifiedReceipt:
    """Sign a receipt under the person's id."""
    with house.store.read() as connection:
        zone = zone_of(connection, Purpose("lobby"))
    return sign_receipt(
        zone,
        house.site.notice("lobby"),
        house.store.site.controller,
        receipt_id=person.receipt_id,
        jurisdiction=jurisdiction,
        key=SubjectKey.from_seed(seed),
        now=house.store.now(),
    )


def ends(house: House, receipt: UnverifiedReceipt) -> str:
    with house.store.read() as connection:
        return consent_of_receipt(connection, receipt)


def test_the_receipt_and_the_code_lead_to_the_consent(house: House, person: Person) -> None:
    assert ends(house, person.take_home.receipt) == person.receipt_id
    with house.store.read() as connection:
        assert consent_of_code(connection, WithdrawalCode.parse(person.code)) == person.receipt_id


def test_another_persons_receipt_under_the_same_id_ends_nothing(house: House, person: Person) -> None:
    forged = signed(house, person, bytes(32))
    words = (
        "integrity: this receipt was not signed by the person who gave the consent of this id; use the withdrawal code"
    )
    with pytest.raises(ReceiptSignatureError, match=words):
        house.site.withdraw(receipt=forged.token.encode())
    assert house.sees(person)


def test_a_receipt_whose_signature_was_changed_ends_nothing(house: House, person: Person) -> None:
    body, _, signature = person.take_home.receipt.token.rpartition(".")
    with pytest.raises(ReceiptSignatureError, match="integrity"):
        house.site.withdraw(receipt=f"{body}.{'A' * len(signature)}".encode())
    assert house.sees(person)


def test_a_receipt_whose_text_was_changed_ends_nothing(house: House, person: Person) -> None:
    other = signed(house, person, SEED, "DE").token.split(".")
    header, _, signature = person.take_home.receipt.token.split(".")
    with pytest.raises(ReceiptSignatureError, match="integrity"):
        house.site.withdraw(receipt=".".join((header, other[1], signature)).encode())
    assert house.sees(person)


def test_the_same_person_can_sign_a_lost_receipt_again(house: House, person: Person) -> None:
    """The key identifies the person: a lost receipt that is signed again still ends the consent."""
    assert ends(house, signed(house, person, SEED, "DE")) == person.receipt_id


def test_expired_and_ended_receipts_still_lead_to_the_consent(house: House, person: Person) -> None:
    house.clock.move(days=4000)
    assert ends(house, person.take_home.receipt) == person.receipt_id
    house.site.sweep()
    assert ends(house, person.take_home.receipt) == person.receipt_id


@pytest.mark.parametrize(
    "change", ["token = 'a.b.c'", "subject_key = zeroblob(32)", "expires_at = '2000-01-01T00:00:00Z'"]
)
def test_a_changed_row_does_not_prevent_a_withdrawal(house: House, person: Person, change: str) -> None:
    tamper(house.site.home / DATA, f"UPDATE receipt SET {change}")  # noqa: S608  names of our own
    assert ends(house, person.take_home.receipt) == person.receipt_id
    with house.store.read() as connection:
        assert consent_of_code(connection, WithdrawalCode.parse(person.code)) == person.receipt_id


def test_the_code_works_if_the_row_names_another_person(house: House, person: Person) -> None:
    tamper(house.site.home / DATA, "UPDATE receipt SET subject_id = ?", "x" * 43)
    with pytest.raises(TamperError, match="use the withdrawal code"):
        ends(house, person.take_home.receipt)

    house.site.withdraw(code=person.code)

    assert not house.sees(person)


@pytest.mark.parametrize("way", ["receipt", "code"])
def test_receipt_and_code_work_if_the_stored_code_was_changed(house: House, person: Person, way: str) -> None:
    tamper(house.site.home / DATA, "UPDATE receipt SET withdrawal_digest = zeroblob(32)")
    if way == "receipt":
        house.withdraw(person)
    else:
        house.site.withdraw(code=person.code)
    assert not house.sees(person)


def test_unknown_receipts_and_codes_get_the_same_answer(house: House, person: Person, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", seed=8)
    stranger = other.invite()
    other.site.close()
    said = set()
    for attempt in (
        lambda: house.withdraw(stranger),
        lambda: house.site.withdraw(code=stranger.code),
        lambda: house.site.withdraw(receipt=stranger.take_home.receipt.token.encode()),
    ):
        with pytest.raises(NoLiveConsentError) as caught:
            attempt()
        said.add(str(caught.value))
    assert said == {"there is no consent for this receipt or code here; nothing was changed"}
    assert house.sees(person)


def test_exactly_one_of_receipt_and_code_is_required(house: House, person: Person) -> None:
    for arguments in ({}, {"receipt": person.take_home.to_json(), "code": person.code}):
        with pytest.raises(InputError, match="got both or neither of receipt and code; give one of the two"):
            house.site.withdraw(**arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got a withdrawal code of 3 characters"):
        house.site.withdraw(code="abc")
    with pytest.raises(ReceiptError, match="this is not a Volens receipt"):
        house.site.withdraw(receipt=b"abc")
    assert house.sees(person)
