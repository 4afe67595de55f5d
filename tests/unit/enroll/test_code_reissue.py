"""A code that was issued again: the new one works, the old one does not, and only a sealed row replaces it."""

import sqlite3
from contextlib import closing

import pytest
from house import House, Person

from volens.consent import NoLiveConsentError, TamperError, UnavailableError, WithdrawalCode
from volens.rights.who_may_withdraw import consent_to_withdraw


def works(house: House, code: str) -> bool:
    with house.store.read() as connection:
        try:
            consent_to_withdraw(connection, None, code)
        except NoLiveConsentError:
            return False
    return True


def reissue(house: House, person: Person) -> str:
    again = house.site.changes.reissue_code(person.receipt_id)
    assert again.receipt == person.take_home.receipt
    assert again.notice_text == person.take_home.notice_text
    assert again.code is not None
    return again.code.reveal()


def test_the_new_code_works_and_the_old_one_does_not(house: House) -> None:
    person, other = house.admit(), house.admit()
    first = reissue(house, person)
    second = reissue(house, person)
    for _ in range(2):
        assert [works(house, one) for one in (person.code, first, second, other.code)] == [False, False, True, True]
        house.reopen()
    assert house.sees(person)
    assert house.site.withdraw(code=second).erased.reason == "withdrawn"
    assert house.site.withdraw(code=second).erased.reason == "withdrawn"
    with pytest.raises(NoLiveConsentError):
        house.site.changes.reissue_code(person.receipt_id)
    house.site.log.verify()


def test_the_old_code_stays_if_the_new_one_cannot_be_handed_over(house: House) -> None:
    person = house.admit()

    def fail(*_: object) -> None:
        raise UnavailableError("the disk is full")

    with pytest.raises(UnavailableError, match="disk is full"):
        house.site.changes.reissue_code(person.receipt_id, fail)
    assert works(house, person.code)


def test_a_process_killed_before_the_keyring_knows_catches_up_at_the_next_opening(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = house.admit()
    with monkeypatch.context() as patch:
        patch.setattr("volens.store.store.remember", lambda *_arguments, **_options: None)
        code = reissue(house, person)
        assert works(house, code)
    house.reopen()
    assert [works(house, one) for one in (person.code, code)] == [False, True]


def test_a_code_planted_by_another_program_replaces_no_code(house: House) -> None:
    """Not even while another person's code is issued again, and with a row that claims to be sealed just now."""
    person, other = house.admit(), house.admit()
    planted = WithdrawalCode.generate(lambda count: b"\5" * count)
    with closing(sqlite3.connect(house.site.home / "volens.db")) as database, database:
        values: tuple[object, ...] = (planted.digest(), person.receipt_id)
        database.execute("UPDATE receipt SET withdrawal_digest = ? WHERE receipt_id = ?", values)
        ((mac, generation),) = database.execute(
            "SELECT mac, generation FROM row_seal WHERE scope_id = ?", (person.receipt_id,)
        )
        database.execute("DELETE FROM row_seal WHERE scope_id = ?", (person.receipt_id,))
        values = ("consent", person.receipt_id, generation + 4, mac)
        database.execute("INSERT INTO row_seal (scope, scope_id, generation, mac) VALUES (?, ?, ?, ?)", values)
    for _ in range(6):
        reissue(house, other)
    assert works(house, person.code)
    with pytest.raises(TamperError, match="changed by another program"):
        works(house, planted.reveal())
