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
from volens.consent.errors import DamagedDataError
from volens.store.keys import KeyChange, Keyring, RootKey, destroy_secrets

SITE = SiteId("site-1")
NOW = datetime(2099, 3, 1, tzinfo=UTC)
ANN, BOB, EVE = (ReceiptId(letter * 32) for letter in "abe")
DOES_NOT_OPEN = r"integrity: keyring.db does not open with this root key; use the root key that was made with it"


def root_key(fill: int = 7) -> RootKey:
    return RootKey(bytes([fill] * 32))


def destroy(keyring: Keyring, *receipt_ids: ReceiptId) -> KeyChange:
    return destroy_secrets(keyring, receipt_ids, Random(b"".join(map(str.encode, receipt_ids))).randbytes, NOW)


def buffers_of(keyring: Keyring) -> list[bytearray]:
    """Return the buffers of the root key, the store key, the keys of the site and the bucket keys."""
    keys = keyring.unlocked
    buckets = [keys.bucket_key(one) for one in sorted(keys.key_ids())]
    secrets = [keys.root_key, keys.store_key, keys.site.authentication, keys.site.projection, *buckets]
    return [one.buffer for one in secrets if one is not None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / KEYRING


@pytest.fixture
def keyring(path: Path) -> Iterator[Keyring]:
    keyring = Keyring.create(path, SITE, root_key(), Random(1).randbytes, NOW)
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

    bits, content = Random(1), path.read_bytes()
    store_key = bits.randbytes(32)
    assert bytes(keyring.unlocked.store_key.buffer) == store_key
    bits.randbytes(12)  # the nonce of its box
    made: list[bytes] = []
    for _kind in ("signing", "authentication", "projection"):
        made.append(bits.randbytes(32))
        bits.randbytes(12)
    assert bytes(keyring.unlocked.site.authentication.buffer) == made[1]
    (bucket_key,) = [keyring.unlocked.bucket_key(one) for one in keyring.unlocked.key_ids()]
    assert bucket_key is not None
    assert not any(one in content for one in (secret, store_key, bytes(bucket_key.buffer), *made))


def test_a_keyring_never_overwrites_another(path: Path, keyring: Keyring) -> None:
    secret = give(keyring, ANN)

    with pytest.raises(UnavailableError, match=r"keyring.db is already there; nothing was changed"):
        Keyring.create(path, SITE, root_key(), Random(5).randbytes, NOW)

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
}
BELOW = {
    "a changed signing key": "UPDATE site_key SET wrapped = CAST(x'01' || zeroblob(60) AS BLOB) WHERE kind = 'signing'",
    "the store key in the place of the signing key": "UPDATE site_key SET wrapped = (SELECT wrapped_store_key "
    "FROM keyring) WHERE kind = 'signing'",
    "one key of the site in the place of another": "UPDATE site_key SET wrapped = (SELECT wrapped FROM site_key "
    "WHERE kind = 'projection') WHERE kind = 'authentication'",
    "another epoch of a key": "UPDATE site_key SET epoch = 2 WHERE kind = 'projection'",
    "a key of the site deleted": "DELETE FROM site_key WHERE kind = 'projection'",
    "a changed bucket key": "UPDATE bucket SET wrapped = CAST(x'01' || zeroblob(60) AS BLOB)",
    "another number of a bucket key": "UPDATE bucket SET number = 2",
    "the key of another bucket": "UPDATE bucket SET bucket_id = 7",
    "a key of the site as a bucket key": "UPDATE bucket SET wrapped = (SELECT wrapped FROM site_key LIMIT 1)",
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_keyring_does_not_open(path: Path, keyring: Keyring, case: str) -> None:
    keyring.close()
    tamper(path, CHANGES[case])

    with pytest.raises(TamperError, match=DOES_NOT_OPEN):
        Keyring.open(path, root_key())


@pytest.mark.parametrize("case", BELOW)
def test_a_changed_key_below_the_store_key_stops_the_opening(path: Path, keyring: Keyring, case: str) -> None:
    give(keyring, ANN)
    keyring.close()
    tamper(path, BELOW[case])

    with pytest.raises(TamperError, match=r"integrity: (a sealed value does not open|keyring.db lacks a key)"):
        Keyring.open(path, root_key())


def test_a_keyring_without_a_site_is_refused(path: Path, keyring: Keyring) -> None:
    keyring.close()
    tamper(path, "DELETE FROM keyring")

    with pytest.raises(TamperError, match=r"integrity: keyring.db has no site; put the newest keyring.db back"):
        Keyring.open(path, root_key())


def test_secrets_are_new_for_every_consent(keyring: Keyring) -> None:
    assert give(keyring, ANN, 2) != give(keyring, BOB, 3)
    assert keyring.wrapped_secrets([ANN]).get(ANN) != keyring.wrapped_secrets([BOB]).get(BOB)


MOVES = {
    "another's secret": "UPDATE grant_secret SET wrapped = (SELECT wrapped FROM grant_secret WHERE receipt_id = :bob) "
    "WHERE receipt_id = :ann",
    "another's row": "UPDATE grant_secret SET receipt_id = CASE receipt_id WHEN :ann THEN 'x' ELSE :ann END",
    "another number": "UPDATE grant_secret SET key_number = 2 WHERE receipt_id = :ann AND :bob <> ''",
    "another bucket": "UPDATE grant_secret SET bucket_id = 2 WHERE receipt_id = :ann AND :bob <> ''",
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
    other = Keyring.create(tmp_path / "other.db", SiteId("site-2"), root_key(), Random(9).randbytes, NOW)
    give(other, ANN)
    ((wrapped,),) = peek(tmp_path / "other.db", "SELECT wrapped FROM grant_secret")
    other.close()
    tamper(path, "UPDATE grant_secret SET wrapped = ?", wrapped)

    with pytest.raises(TamperError, match="does not open with the key and owner it should have"):
        keyring.grant_secret(ANN)


def test_a_missing_secret_is_an_error_for_one_and_left_out_of_many(keyring: Keyring) -> None:
    give(keyring, ANN)

    with pytest.raises(
        TamperError, match="integrity: the keyring has no secret for a consent in force; put the newest"
    ) as caught:
        keyring.grant_secret(EVE)
    assert type(caught.value) in {TamperError, DamagedDataError}
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

    assert destroy(keyring, ANN).secrets == 1
    assert destroy(keyring, ANN).secrets == 0
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
        destroy(impatient, ANN)
        assert impatient.engine.scrub().obstacle.startswith("another process is reading keyring.db")
    assert impatient.engine.scrub().complete
    impatient.close()


def test_closing_zeroes_every_key(keyring: Keyring) -> None:
    give(keyring, ANN)
    buffers = buffers_of(keyring)
    assert len(buffers) == 5
    assert all(any(buffer) for buffer in buffers)

    keyring.close()

    assert not any(any(buffer) for buffer in buffers)


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
    assert type(caught.value) in {TamperError, DamagedDataError}


def test_an_orphan_secret_opens_nothing_and_is_no_consent(house: House) -> None:
    person = house.admit()
    house.store.keyring.new_grant_secret(EVE, house.bits.randbytes, house.store.now()).wipe()

    house.reopen()

    assert house.sees(person)
    assert house.site.status().zones[0].live_consents == 1


def test_an_older_keyring_is_repaired_from_the_log(house: House) -> None:
    house.store.keyring.engine.scrub()
    path, older = house.site.home / KEYRING, house.site.home.with_name("older")
    shutil.copy(path, older)
    house.declare("vault")
    size = house.site.status().log_size
    house.site.close()
    older.replace(path)

    house.reopen()

    assert house.store.keyring.head().size == size


def test_a_keyring_from_before_an_erasure_does_not_open(house: House) -> None:
    path, older = house.site.home / KEYRING, house.site.home.with_name("older")
    person, other = house.admit(), house.admit()
    house.store.keyring.engine.scrub()
    shutil.copy(path, older)
    house.withdraw(person)
    house.site.close()
    newer = shutil.copy(path, older.with_name("newer"))
    older.replace(path)

    with pytest.raises(TamperError, match=DOES_NOT_OPEN):
        house.reopen()

    shutil.copy(newer, path)
    house.reopen()
    assert [house.sees(one) for one in (person, other)] == [False, True]
