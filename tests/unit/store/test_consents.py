"""Consents: a receipt stays, a consent in force is a row, a name is sealed, a withdrawal code leads to one receipt."""

import sqlite3
from contextlib import closing

import pytest
from declared_gates import open_gates
from house import START, House, Person
from sqlalchemy.exc import IntegrityError

from tests.unit.store.raw import DATA, KEYRING, lawless, peek, tamper
from volens.consent import (
    EndReason,
    Purpose,
    ReceiptId,
    RefusedError,
    SubjectKey,
    TamperError,
    VolensError,
    WithdrawalCode,
)
from volens.consent.errors import DamagedDataError
from volens.service.sample_notice import publish_sample_notice
from volens.store.keys import GrantSecret, Keyring
from volens.store.people import (
    LiveConsents,
    StoredReceipt,
    consent_ended,
    count_live,
    count_receipts,
    end_consents,
    live_receipts,
    name_of,
    receipt_of_code,
    sealed_name,
    stored_receipt,
)

LOBBY = Purpose("lobby")


def stored(house: House, person: Person) -> StoredReceipt:
    with house.store.read() as connection:
        receipt = stored_receipt(connection, person.receipt_id)
    assert receipt is not None
    return receipt


def name(house: House, person: Person) -> str | None:
    return name_of(house.store, person.receipt_id)


def end(house: House, person: Person, reason: EndReason = EndReason.WITHDRAWN) -> bool:
    with house.store.write() as tx:
        return bool(end_consents(tx, [person.receipt_id], reason))


def test_a_consent_given_is_in_force_for_its_person_and_zone_until_its_end(house: House) -> None:
    person = house.invite()
    claims = person.take_home.receipt.claims
    with house.store.read() as connection:
        ledger = LiveConsents(connection)
        assert ledger.live_until(claims.receipt_id, claims.subject_id, LOBBY) == claims.expires_at
        assert ledger.live_until(claims.receipt_id, claims.subject_id, Purpose("lab")) is None
        assert ledger.live_until(claims.receipt_id, "x" * 43, LOBBY) is None  # type: ignore[arg-type]
        assert ledger.live_until(ReceiptId("0" * 32), claims.subject_id, LOBBY) is None
        assert live_receipts(connection) == [person.receipt_id]
        assert count_live(connection, LOBBY) == 1
        assert count_live(connection, Purpose("lab")) == 0
    assert (claims.expires_at - START).days == 90


def test_a_receipt_is_stored_as_it_was_signed(house: House) -> None:
    person = house.invite()

    receipt = stored(house, person)

    assert receipt.token == person.take_home.receipt.token
    assert receipt.verified().claims == person.take_home.receipt.claims
    assert receipt.sha256 == receipt.verified().sha256


def test_a_second_consent_in_force_by_the_same_key_is_refused_and_leaves_nothing(house: House) -> None:
    key = SubjectKey.from_seed(bytes(range(32)))
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=7)
    open_gates(house.site, "lab")
    publish_sample_notice(house.site, "lab", more="x")

    def give(zone: str) -> Person:
        take_home = house.site.give_consent(house.site.notice(zone), name="Ann", jurisdiction="FR", key=key)
        return Person(take_home, house.face())

    first = give("lobby")
    status, secrets = house.site.status(), peek(house.site.home / KEYRING, "SELECT * FROM grant_secret")
    with pytest.raises(RefusedError, match="consent for zone 'lobby' is already in force; withdraw it"):
        give("lobby")
    assert house.site.status() == status
    assert peek(house.site.home / KEYRING, "SELECT * FROM grant_secret") == secrets
    give("lab")  # another zone is another consent

    house.withdraw(first)
    assert give("lobby").receipt_id != first.receipt_id


def test_a_name_is_sealed_and_opens_for_its_consent(house: House) -> None:
    person = house.invite(name="Zoë Canary-Łukasiewicz")

    assert name(house, person) == "Zoë Canary-Łukasiewicz"
    for file in house.site.home.iterdir():
        assert b"Canary" not in file.read_bytes()


def test_a_name_in_the_row_of_another_person_does_not_open(house: House) -> None:
    ann, bob = house.invite(name="Ann"), house.invite(name="Bob")
    with lawless(house.site.home / DATA) as connection:
        (box,) = connection.execute(
            "SELECT sealed_name FROM subject_profile WHERE receipt_id = ?", (ann.receipt_id,)
        ).fetchone()
        connection.execute("UPDATE subject_profile SET sealed_name = ? WHERE receipt_id = ?", (box, bob.receipt_id))

    assert name(house, ann) == "Ann"
    with pytest.raises(TamperError, match="integrity: a sealed value does not open"):
        name(house, bob)


@pytest.mark.of_files
@pytest.mark.parametrize(
    "change",
    [
        "receipt SET subject_id = 'another'",
        "receipt SET purpose = 'another'",
        "receipt SET token = token || ' '",
        "subject_profile SET sealed_name = zeroblob(length(sealed_name))",
        "subject_profile SET sealed_name = x''",
        "subject_profile SET sealed_name = substr(sealed_name, 1, 30)",
    ],
)
def test_a_name_is_bound_to_its_person_zone_and_receipt(house: House, change: str) -> None:
    person = house.invite()
    tamper(house.site.home / DATA, f"UPDATE {change}")

    with pytest.raises(TamperError, match="integrity: a sealed value") as caught:
        name(house, person)
    assert type(caught.value) in {TamperError, DamagedDataError}


def test_a_name_without_its_secret_is_an_integrity_error(house: House) -> None:
    person = house.invite()
    tamper(house.site.home / KEYRING, "DELETE FROM grant_secret")

    with pytest.raises(TamperError, match="the keyring has no secret for a consent in force"):
        name(house, person)


def test_a_name_is_none_if_another_process_ends_the_consent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.invite()
    original = Keyring.grant_secret

    def late(self: Keyring, receipt_id: ReceiptId) -> GrantSecret:
        with monkeypatch.context() as done:
            done.setattr(Keyring, "grant_secret", original)
            house.withdraw(person)
        return original(self, receipt_id)

    monkeypatch.setattr(Keyring, "grant_secret", late)

    assert name(house, person) is None


def test_a_withdrawal_code_leads_to_its_receipt_and_no_other_does(house: House) -> None:
    ann, bob = house.invite(), house.invite()
    with house.store.read() as connection:
        for person in (ann, bob):
            found = receipt_of_code(connection, WithdrawalCode.parse(person.code))
            assert found is not None
            assert found.receipt_id == person.receipt_id
        assert receipt_of_code(connection, WithdrawalCode.generate(house.bits.randbytes)) is None


def test_no_file_contains_the_withdrawal_code(house: House) -> None:
    person = house.invite()
    plain = person.code.replace("-", "")
    for file in house.site.home.iterdir():
        content = file.read_bytes()
        assert plain.encode() not in content
        assert person.code.encode() not in content


def test_the_end_of_a_consent_deletes_its_rows_and_keeps_the_evidence(house: House) -> None:
    stayer, leaver = house.admit(), house.admit()
    house.clock.move(hours=1)

    assert end(house, leaver)

    with house.store.read() as connection:
        assert live_receipts(connection) == [stayer.receipt_id]
        assert count_receipts(connection) == 2
        assert count_live(connection) == 1
        assert consent_ended(connection, leaver.receipt_id) == (EndReason.WITHDRAWN, house.store.now())
        assert consent_ended(connection, stayer.receipt_id) is None
        assert sealed_name(connection, leaver.receipt_id) is None
        assert sealed_name(connection, stayer.receipt_id) is not None
    owners = "SELECT receipt_id FROM biometric_reference UNION ALL SELECT receipt_id FROM subject_profile"
    assert peek(house.site.home / DATA, owners) == [(stayer.receipt_id,)] * 2
    assert stored(house, leaver).verified().claims == leaver.take_home.receipt.claims


def test_a_consent_ends_once_and_for_the_first_reason(house: House) -> None:
    person = house.admit()
    assert end(house, person)
    assert not end(house, person, EndReason.EXPIRED)
    with house.store.read() as connection:
        ended = consent_ended(connection, person.receipt_id)
    assert ended is not None
    assert ended[0] is EndReason.WITHDRAWN


def test_a_name_is_none_after_the_end_of_the_consent(house: House) -> None:
    person = house.invite()
    house.withdraw(person)
    assert name(house, person) is None


@pytest.mark.of_files
def test_the_rows_are_deleted_even_with_foreign_keys_off(house: House) -> None:
    person = house.admit()
    with closing(sqlite3.connect(house.site.home / DATA)) as connection:
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (0,)
        connection.execute("DELETE FROM live_consent WHERE receipt_id = ?", (person.receipt_id,))
        connection.commit()

    assert peek(house.site.home / DATA, "SELECT count(*) FROM biometric_reference") == [(0,)]
    assert peek(house.site.home / DATA, "SELECT count(*) FROM subject_profile") == [(0,)]


def test_an_ended_consent_is_never_put_in_force_again_by_the_database(house: House) -> None:
    person = house.invite()
    house.withdraw(person)
    claims = person.take_home.receipt.claims
    row = f"('{claims.receipt_id}', '{claims.subject_id}', 'lobby', '2099-04-01T00:00:00Z')"

    with pytest.raises(IntegrityError, match="live_consent needs its receipt"), house.store.write() as tx:
        tx.connection.exec_driver_sql(f"INSERT INTO live_consent VALUES {row}")  # noqa: S608  names of our own


@pytest.mark.of_files
@pytest.mark.parametrize("expires_at", ["2099-05-31T00:00:00Z", "9999-01-01T00:00:00Z"])
def test_a_consent_is_never_in_force_for_longer_than_was_signed(house: House, expires_at: str) -> None:
    person = house.invite()
    claims = person.take_home.receipt.claims
    with closing(sqlite3.connect(house.site.home / DATA)) as connection:
        connection.execute("DELETE FROM live_consent")
        with pytest.raises(sqlite3.IntegrityError, match="live_consent needs its receipt"):
            connection.execute(
                "INSERT INTO live_consent VALUES (?, ?, 'lobby', ?)", (claims.receipt_id, claims.subject_id, expires_at)
            )


def test_expired_consents_are_listed_from_the_second_of_their_end_oldest_first(house: House) -> None:
    first = house.invite()
    house.clock.move(days=1)
    second = house.invite()
    ends = first.take_home.receipt.claims.expires_at
    moments = {-1: [], 0: [first.receipt_id], 86_400: [first.receipt_id, second.receipt_id]}
    with house.store.read() as connection:
        for seconds, expected in moments.items():
            house.clock.time = ends
            house.clock.move(seconds=seconds)
            assert live_receipts(connection, expired_at=house.clock()) == expected


KEY = SubjectKey.from_seed(bytes(32)).public.jwk
ROWS: dict[str, tuple[str, object, type[VolensError], str]] = {
    "no receipt": ("token", "a.b.c", DamagedDataError, "integrity: a stored receipt does not verify"),
    "an empty receipt": ("token", "", DamagedDataError, "integrity: a stored receipt does not verify"),
    "another person's key": ("subject_key", KEY, DamagedDataError, "integrity: a stored receipt does not verify"),
    "a key that is none": ("subject_key", b"short", DamagedDataError, "integrity: a stored receipt does not verify"),
    "another person": ("subject_id", "x" * 43, DamagedDataError, "is in the place of another"),
    "another zone": ("purpose", "lab", DamagedDataError, "is in the place of another"),
}


@pytest.mark.of_files
@pytest.mark.parametrize("case", ROWS)
def test_a_changed_receipt_row_is_detected(house: House, case: str) -> None:
    column, value, kind, words = ROWS[case]
    person = house.invite()
    tamper(house.site.home / DATA, f"UPDATE receipt SET {column} = ?", value)  # noqa: S608  names of our own

    with pytest.raises(TamperError, match=words) as caught:
        stored(house, person).verified()
    assert type(caught.value) is kind


def test_a_receipt_in_the_place_of_another_is_detected(house: House) -> None:
    ann, bob = house.invite(), house.invite()
    with lawless(house.site.home / DATA) as connection:
        token, key = connection.execute(
            "SELECT token, subject_key FROM receipt WHERE receipt_id = ?", (bob.receipt_id,)
        ).fetchone()
        connection.execute(
            "UPDATE receipt SET token = ?, subject_key = ? WHERE receipt_id = ?", (token, key, ann.receipt_id)
        )

    with pytest.raises(TamperError, match="integrity: a stored receipt is in the place of another"):
        stored(house, ann).verified()
