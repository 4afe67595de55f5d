"""The keyring: every secret opens only in its own place, and only with the key above it."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from connections import lock_timeout
from house import House

from tests.unit.store.raw import KEYRING, lawless, peek, tamper
from volens.consent import ReceiptId, SiteId, TamperError, UnavailableError, VolensError
from volens.store.keys import Keyring, RootKey

SITE = SiteId("site-1")
NOW = datetime(2099, 3, 1, tzinfo=UTC)
ANN, BOB, EVE = (ReceiptId(letter * 32) for letter in "abe")
DOES_NOT_OPEN = r"integrity: keyring.db does not open with this root key; use the root key that was made with it"


def root_key(fill: int = 7) -> RootKey:
    return RootKey(bytes([fill] * 32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / KEYRING


@pytest.fixture
def keyring(path: Path) -> Iterator[Keyring]:
    keyring = Keyring.create(path, SITE, root_key(), Random(1).randbytes)
    yield keyring
    keyring.close()


def give(keyring: Keyring, receipt_id: ReceiptId, seed: int = 2, now: datetime = NOW) -> bytes:
    with keyring.new_grant_secret(receipt_id, Random(seed).randbytes, now) as secret:
        return bytes(secret.buffer)


def test_a_keyring_opens_unchanged_with_its_root_key(path: Path, keyring: Keyring) -> None:
    secret = give(keyring, ANN)
    with root_key() as key:
        again = Keyring.open(path, key)

    assert (again.site_id, again.epoch, again.public_key) == (SITE, 1, keyring.public_key)
    assert again.projection_seed("m@1") == keyring.projection_seed("m@1") != keyring.projection_seed("m@2")
    assert again.derived_key("a use") == keyring.derived_key("a use") != keyring.derived_key("another")
    assert again.sign(b"payload", "typ") == keyring.sign(b"payload", "typ")
    with again.grant_secret(ANN) as opened:
        assert opened.buffer == secret
    again.close()


def test_no_secret_is_in_the_file_unencrypted(path: Path, keyring: Keyring) -> None:
    secret = give(keyring, ANN)
    keyring.engine.scrub()

    store_key, seed = Random(1).randbytes(32), Random(1)
    seed.randbytes(32)
    content = path.read_bytes()
    assert bytes(keyring.store_keys[1].buffer) == store_key
    assert not any(one in content for one in (secret, store_key, seed.randbytes(32)))


def test_a_keyring_never_overwrites_another(path: Path, keyring: Keyring) -> None:
    secret = give(keyring, ANN)

    with pytest.raises(UnavailableError, match=r"keyring.db is already there; nothing was changed"):
        Keyring.create(path, SITE, root_key(), Random(5).randbytes)

    with keyring.grant_secret(ANN) as opened:
        assert opened.buffer == secret


def test_another_root_key_does_not_open_it(path: Path, keyring: Keyring) -> None:
    keyring.close()
    with pytest.raises(TamperError, match=DOES_NOT_OPEN):
        Keyring.open(path, root_key(8))


CHANGES = {
    "another site": "UPDATE keyring SET site_id = 'site-2'",
    "another epoch": "UPDATE keyring SET epoch = 2",
    "a changed store key": "UPDATE keyring SET wrapped_store_key = CAST(x'01' || zeroblob(60) AS BLOB)",
    "a store key cut off": "UPDATE keyring SET wrapped_store_key = substr(wrapped_store_key, 1, 40)",
    "a changed signing key": "UPDATE keyring SET wrapped_signing_key = CAST(x'01' || zeroblob(60) AS BLOB)",
    "the store key in the place of the signing key": "UPDATE keyring SET wrapped_signing_key = wrapped_store_key",
    "the signing key in the place of the store key": "UPDATE keyring SET wrapped_store_key = wrapped_signing_key",
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_keyring_does_not_open(path: Path, keyring: Keyring, case: str) -> None:
    keyring.close()
    tamper(path, CHANGES[case])

    with pytest.raises(TamperError, match=DOES_NOT_OPEN):
        Keyring.open(path, root_key())


def test_a_keyring_without_a_site_is_refused(path: Path, keyring: Keyring) -> None:
    keyring.close()
    tamper(path, "DELETE FROM keyring")

    with pytest.raises(TamperError, match=r"integrity: keyring.db has no site; restore the keyring"):
        Keyring.open(path, root_key())


def test_secrets_are_new_for_every_consent(keyring: Keyring) -> None:
    assert give(keyring, ANN, 2) != give(keyring, BOB, 3)
    assert keyring.wrapped_secrets([ANN]).get(ANN) != keyring.wrapped_secrets([BOB]).get(BOB)


MOVES = {
    "another's secret": "UPDATE grant_secret SET wrapped = (SELECT wrapped FROM grant_secret WHERE receipt_id = :bob) "
    "WHERE receipt_id = :ann",
    "another's row": "UPDATE grant_secret SET receipt_id = CASE receipt_id WHEN :ann THEN 'x' ELSE :ann END",
    "another epoch": "UPDATE grant_secret SET epoch = 2 WHERE receipt_id = :ann AND :bob <> ''",
    "a changed byte": "UPDATE grant_secret SET wrapped = CAST(substr(wrapped, 1, 60) || x'00' AS BLOB) "
    "WHERE receipt_id = :ann AND :bob <> ''",
    "a secret cut off": "UPDATE grant_secret SET wrapped = substr(wrapped, 1, 60) "
    "WHERE receipt_id = :ann AND :bob <> ''",
}


@pytest.mark.parametrize("case", MOVES)
def test_a_secret_in_the_place_of_another_does_not_open(path: Path, keyring: Keyring, case: str) -> None:
    give(keyring, ANN, 2)
    give(keyring, BOB, 3)
    with lawless(path) as connection:
        assert connection.execute(MOVES[case], {"ann": ANN, "bob": BOB}).rowcount

    for attempt in (keyring.grant_secret, lambda one: keyring.grant_secrets([one])):
        with pytest.raises(TamperError, match=r"integrity: a (sealed value|secret)"):
            attempt(ANN)


def test_a_secret_of_another_sites_keyring_does_not_open(path: Path, keyring: Keyring, tmp_path: Path) -> None:
    give(keyring, ANN)
    other = Keyring.create(tmp_path / "other.db", SiteId("site-2"), root_key(), Random(9).randbytes)
    give(other, ANN)
    ((wrapped,),) = peek(tmp_path / "other.db", "SELECT wrapped FROM grant_secret")
    other.close()
    tamper(path, "UPDATE grant_secret SET wrapped = ?", wrapped)

    with pytest.raises(TamperError, match="does not open with the key and owner it should have"):
        keyring.grant_secret(ANN)


def test_a_missing_secret_is_an_error_for_one_and_left_out_of_many(keyring: Keyring) -> None:
    give(keyring, ANN)

    with pytest.raises(
        TamperError, match="integrity: the keyring has no secret for a consent in force; restore"
    ) as caught:
        keyring.grant_secret(EVE)
    assert type(caught.value) is TamperError
    assert EVE not in str(caught.value)
    assert set(keyring.grant_secrets([ANN, EVE])) == {ANN}


def test_secrets_are_read_in_batches(keyring: Keyring) -> None:
    """One query takes 500 ids at most; of these, the secrets of eight are there."""
    wanted = [ReceiptId(f"{number:032x}") for number in range(2000)]
    made = {receipt_id: give(keyring, receipt_id, seed) for seed, receipt_id in enumerate(wanted[::285])}
    assert len(made) == 8

    found = keyring.grant_secrets(iter(wanted))

    assert {receipt_id: bytes(secret.buffer) for receipt_id, secret in found.items()} == made
    assert keyring.grant_secrets([]) == {}


def test_a_destroyed_secret_is_gone_for_good_and_from_the_file(path: Path, keyring: Keyring) -> None:
    give(keyring, ANN)
    kept = give(keyring, BOB, 3)
    wrapped = keyring.wrapped_secrets([ANN]).get(ANN)
    assert wrapped is not None

    assert keyring.destroy_secrets([ANN])
    assert not keyring.destroy_secrets([ANN])
    keyring.engine.scrub()

    assert keyring.wrapped_secrets([ANN]).get(ANN) is None
    with pytest.raises(TamperError, match="no secret"):
        keyring.grant_secret(ANN)
    assert not any(wrapped in file.read_bytes() for file in path.parent.iterdir())
    with keyring.grant_secret(BOB) as secret:
        assert secret.buffer == kept
    assert path.name in {place.name for place in keyring.engine.places()}


def test_secrets_made_before_a_time_are_listed(keyring: Keyring) -> None:
    give(keyring, ANN, 2, NOW)
    give(keyring, BOB, 3, NOW + timedelta(hours=1))

    assert keyring.kept(NOW) == set()
    assert keyring.kept(NOW + timedelta(seconds=1)) == {ANN}
    assert keyring.kept(NOW + timedelta(hours=2)) == {ANN, BOB}


def test_a_keyring_that_another_process_reads_is_not_scrubbed(path: Path, keyring: Keyring) -> None:
    with root_key() as key:
        impatient = Keyring.open(path, key)
    give(keyring, ANN)
    with lock_timeout(0.01), keyring.engine.read() as connection:
        connection.exec_driver_sql("SELECT * FROM grant_secret").all()
        impatient.destroy_secrets([ANN])
        assert impatient.engine.scrub().obstacle.startswith("another process is reading keyring.db")
    assert impatient.engine.scrub().complete
    impatient.close()


def test_closing_zeroes_the_store_key(keyring: Keyring) -> None:
    buffer = keyring.store_keys[1].buffer
    assert any(buffer)

    keyring.close()

    assert not any(buffer)


def test_a_live_consent_without_its_secret_stops_the_door_as_an_integrity_error(house: House) -> None:
    person = house.admit()
    tamper(house.site.home / KEYRING, "DELETE FROM grant_secret WHERE receipt_id = ?", person.receipt_id)

    with pytest.raises(TamperError, match="the keyring has no secret for a consent in force"):
        house.sees(person)


def test_exchanged_secrets_of_two_people_stop_the_door(house: House) -> None:
    ann, bob = house.admit(), house.admit()
    with lawless(house.site.home / KEYRING) as connection:
        swap = "UPDATE grant_secret SET receipt_id = ? WHERE receipt_id = ?"
        for new, old in (("x", ann.receipt_id), (ann.receipt_id, bob.receipt_id), (bob.receipt_id, "x")):
            connection.execute(swap, (new, old))

    with pytest.raises(VolensError, match="integrity: a sealed value does not open") as caught:
        house.sees(ann)
    assert type(caught.value) is TamperError


def test_an_orphan_secret_opens_nothing_and_is_no_consent(house: House) -> None:
    person = house.admit()
    house.store.keyring.new_grant_secret(EVE, house.bits.randbytes, house.store.now()).wipe()

    house.reopen()

    assert house.sees(person)
    assert house.site.status().zones[0].live_consents == 1


def test_an_older_keyring_is_repaired_from_the_log_and_no_consent_returns(house: House) -> None:
    house.store.keyring.engine.scrub()
    path = house.site.home / KEYRING
    person = house.admit()
    secret_rows = peek(path, "SELECT count(*) FROM grant_secret")
    house.site.close()
    shutil.copy(path, path.parent.with_name("older"))
    house.reopen()
    house.withdraw(person)
    size = house.site.status().log_size
    house.site.close()
    path.parent.with_name("older").replace(path)
    assert peek(path, "SELECT count(*) FROM grant_secret") == secret_rows

    house.reopen()

    assert house.store.keyring.head().size == size
    assert not house.sees(person)
