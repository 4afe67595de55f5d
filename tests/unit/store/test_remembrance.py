"""Rollback detection: the keyring has a copy of every leaf and every end, and never loses one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from house import House

from tests.unit.store.raw import DATA, KEYRING, peek, tamper
from volens.consent import EndReason, TamperError, format_time
from volens.store.log import remember, remembered_ends, remembered_leaves, undone_ends


def leaves(house: House) -> list[bytes]:
    return [row[0] for row in peek(house.site.home / DATA, "SELECT leaf FROM audit_event ORDER BY seq")]


def test_every_leaf_is_copied_to_the_keyring_at_once(house: House) -> None:
    for _ in range(3):
        house.admit()
        assert remembered_leaves(house.store.keyring) == leaves(house)
        assert house.store.keyring.head().size == len(leaves(house))


def test_every_end_is_copied_with_its_reason_and_time(house: House) -> None:
    ada, bob, eve = house.admit(), house.admit(), house.admit()
    house.withdraw(ada)
    when = house.clock.time
    house.clock.move(days=91)
    house.site.sweep()

    ends = remembered_ends(house.store.keyring)

    query = "SELECT ended_at FROM ended_consent WHERE receipt_id = ?"
    assert peek(house.site.home / KEYRING, query, ada.receipt_id) == [(format_time(when),)]
    assert ends[ada.receipt_id] is EndReason.WITHDRAWN
    assert ends.keys() == {person.receipt_id for person in (ada, bob, eve)}
    assert ends[bob.receipt_id] is EndReason.EXPIRED


def test_the_next_write_copies_everything_after_failed_copies(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = house.admit(), house.admit()
    with monkeypatch.context() as deaf:
        deaf.setattr("volens.store.store.remember", lambda *_, **__: None)
        house.withdraw(ada)
        house.admit()
    assert ada.receipt_id not in remembered_ends(house.store.keyring)

    house.withdraw(bob)

    assert remembered_ends(house.store.keyring).keys() == {ada.receipt_id, bob.receipt_id}
    assert remembered_leaves(house.store.keyring) == leaves(house)


def test_a_row_that_another_program_added_hides_no_end(house: House) -> None:
    ada = house.admit()
    added = "INSERT INTO ended_consent VALUES (0, ?, 'expired', '2099-01-01T00:00:00Z', 1)"
    tamper(house.site.home / KEYRING, added, ada.receipt_id)
    house.withdraw(ada)
    tamper(house.site.home / KEYRING, "DELETE FROM ended_consent WHERE seq = 0")

    house.admit()

    assert remembered_ends(house.store.keyring) == {ada.receipt_id: EndReason.WITHDRAWN}
    assert remembered_leaves(house.store.keyring) == leaves(house)


def test_an_older_snapshot_removes_nothing_from_the_keyring(house: House) -> None:
    with house.store.read() as older:
        older.exec_driver_sql("SELECT count(*) FROM audit_event").all()
        house.admit()
        remember(house.store.keyring, older, house.store.seals.codes_of)
    assert remembered_leaves(house.store.keyring) == leaves(house)


def test_leaves_missing_in_the_keyring_are_copied_again_when_it_is_opened(house: House) -> None:
    house.withdraw(house.admit())
    house.site.close()
    tamper(house.site.home / KEYRING, "DELETE FROM log_leaf")

    house.reopen()

    assert remembered_leaves(house.store.keyring) == leaves(house)


def test_entries_missing_in_the_keyring_are_an_error(house: House) -> None:
    tamper(house.site.home / KEYRING, "DELETE FROM log_leaf WHERE seq = 1")
    with pytest.raises(TamperError, match="cannot be brought up to date with it; use the newest"):
        remembered_leaves(house.store.keyring)


def test_an_intact_site_has_no_undone_ends(house: House) -> None:
    house.admit()
    house.withdraw(house.admit())
    with house.store.read() as connection:
        assert undone_ends(house.store.keyring, connection) == {}


FORBIDDEN = {
    "a changed leaf": "UPDATE log_leaf SET leaf = x'00'",
    "a deleted leaf": "DELETE FROM log_leaf WHERE seq = 0",
    "a replaced leaf": "INSERT OR REPLACE INTO log_leaf VALUES (0, x'00')",
    "a gap": "INSERT INTO log_leaf SELECT max(seq) + 2, x'00' FROM log_leaf",
    "a changed end": "UPDATE ended_consent SET reason = 'expired'",
    "a deleted end": "DELETE FROM ended_consent",
    "a replaced end": "INSERT OR REPLACE INTO ended_consent SELECT seq, receipt_id, 'expired', ended_at, log_size"
    " FROM ended_consent",
    "an end with a gap": "INSERT INTO ended_consent SELECT seq + 2, hex(zeroblob(16)), reason, ended_at, log_size"
    " FROM ended_consent",
    "an end of the same consent": "INSERT INTO ended_consent SELECT seq + 1, receipt_id, reason, ended_at, log_size"
    " FROM ended_consent",
}


@pytest.fixture(scope="module")
def keyring_file(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    house = House.build(tmp_path_factory.mktemp("remembering") / "home")
    house.withdraw(house.admit())
    house.site.close()
    assert template.is_dir()
    return house.site.home / KEYRING


@pytest.mark.parametrize("case", FORBIDDEN)
def test_the_keyring_refuses(keyring_file: Path, case: str) -> None:
    with closing(sqlite3.connect(keyring_file)) as connection, pytest.raises(sqlite3.IntegrityError, match="volens: "):
        connection.execute(FORBIDDEN[case])
