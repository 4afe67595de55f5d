"""Buckets and the destruction of keys: what an erasure replaces, what stays, and what opens with what is left."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from tests.unit.store.raw import KEYRING, peek, tamper
from volens.consent import ReceiptId, SiteId, TamperError, UnavailableError
from volens.store.keys import GrantSecret, KeyChange, KeyId, Keyring, destroy_secrets, renew_root_key
from volens.store.keys.root_key.holder import Slot
from volens.store.keys.root_key.key_file import FileHolder
from volens.store.schema.keyring_tables import BUCKET_SIZE

SITE = SiteId("site-1")
NOW = datetime(2099, 3, 1, tzinfo=UTC)
BITS = Random(11)


@pytest.fixture
def holder(tmp_path: Path) -> FileHolder:
    return FileHolder(tmp_path / "root.key", "file:root.key", BITS.randbytes)


@pytest.fixture
def keyring(tmp_path: Path, holder: FileHolder) -> Iterator[Keyring]:
    with holder.create(Slot.CURRENT) as root_key:
        Keyring.create(tmp_path / KEYRING, SITE, root_key, BITS.randbytes, NOW).close()
    keyring = Keyring.open(tmp_path / KEYRING, holder)
    yield keyring
    keyring.close()


@pytest.fixture
def other(keyring: Keyring, tmp_path: Path, holder: FileHolder) -> Iterator[Keyring]:
    """Another process."""
    assert keyring.epoch == 1
    other = Keyring.open(tmp_path / KEYRING, holder)
    yield other
    other.close()


def give(keyring: Keyring, count: int = 1) -> list[ReceiptId]:
    ids = [ReceiptId(BITS.randbytes(16).hex()) for _ in range(count)]
    for receipt_id in ids:
        keyring.new_grant_secret(receipt_id, BITS.randbytes, NOW).wipe()
    return ids


def destroy(keyring: Keyring, *receipt_ids: ReceiptId) -> KeyChange:
    return destroy_secrets(keyring, receipt_ids, BITS.randbytes, NOW)


def opened(keyring: Keyring, receipt_ids: list[ReceiptId]) -> dict[ReceiptId, bytes]:
    found = keyring.grant_secrets(receipt_ids)
    return {receipt_id: bytes(secret.buffer) for receipt_id, secret in found.items()}


def buckets(keyring: Keyring, receipt_ids: list[ReceiptId]) -> list[KeyId]:
    found = keyring.wrapped(receipt_ids)
    return [found[one].key_id for one in receipt_ids]


def test_a_bucket_takes_256_secrets_and_the_next_goes_to_a_new_one(keyring: Keyring) -> None:
    ids = give(keyring, BUCKET_SIZE + 1)

    assert buckets(keyring, ids) == [KeyId(1, 1)] * BUCKET_SIZE + [KeyId(2, 1)]
    assert len(set(opened(keyring, ids).values())) == len(ids)


def test_the_database_refuses_a_bucket_that_grows_beyond_its_size(keyring: Keyring, tmp_path: Path) -> None:
    give(keyring)
    tamper(tmp_path / KEYRING, "UPDATE bucket SET held = ?", BUCKET_SIZE)
    with keyring.write() as connection, pytest.raises(Exception, match="CHECK constraint failed"):
        connection.exec_driver_sql("UPDATE bucket SET held = held + 1")
    assert buckets(keyring, give(keyring)) == [KeyId(2, 1)]


def test_room_that_an_erasure_makes_is_used_again(keyring: Keyring) -> None:
    ids = give(keyring, BUCKET_SIZE + 1)
    destroy(keyring, ids[0])

    assert buckets(keyring, give(keyring, 2)) == [KeyId(1, 2), KeyId(2, 1)]


def test_an_erasure_renews_its_buckets_and_wraps_again_who_stays(keyring: Keyring) -> None:
    ids = give(keyring, BUCKET_SIZE + 2)
    before, wrapped = opened(keyring, ids), keyring.wrapped(ids)

    change = destroy(keyring, ids[3])

    assert (change.destroyed_epoch, change.secrets, change.root_key_destroyed) == (1, 1, True)
    stay = [one for one in ids if one != ids[3]]
    assert opened(keyring, ids) == {one: before[one] for one in stay}
    now = keyring.wrapped(ids)
    assert {now[one].key_id for one in stay[: BUCKET_SIZE - 1]} == {KeyId(1, 2)}
    assert all(now[one].box != wrapped[one].box for one in stay[: BUCKET_SIZE - 1])
    # The other bucket keeps its key, and its secrets their boxes.
    assert [now[one] for one in stay[BUCKET_SIZE - 1 :]] == [wrapped[one] for one in stay[BUCKET_SIZE - 1 :]]


def test_a_bucket_that_becomes_empty_vanishes_and_its_number_is_not_used_again(keyring: Keyring) -> None:
    (only,) = give(keyring)
    destroy(keyring, only)

    with keyring.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM bucket").scalar() == 0
    assert keyring.unlocked.key_ids() == set()
    assert buckets(keyring, give(keyring)) == [KeyId(2, 1)]


def test_keys_of_before_and_after_an_erasure_do_not_open_each_others_keyring(
    keyring: Keyring, holder: FileHolder, tmp_path: Path
) -> None:
    ids = give(keyring, 2)
    keyring.engine.scrub()
    shutil.copy(tmp_path / KEYRING, tmp_path / "old.db")
    old_root = holder.open(Slot.CURRENT)
    assert old_root is not None

    destroy(keyring, ids[0])

    new_root = holder.open(Slot.CURRENT)
    assert new_root is not None
    for path, root_key in (("old.db", new_root), (KEYRING, old_root)):
        with pytest.raises(TamperError, match="does not open with this root key"):
            Keyring.open(tmp_path / path, root_key)
    for path, root_key, held in (("old.db", old_root, 2), (KEYRING, new_root, 1)):
        again = Keyring.open(tmp_path / path, root_key)
        assert len(opened(again, ids)) == held
        again.close()


def test_every_box_above_an_erased_secret_is_another_one_afterwards(keyring: Keyring, tmp_path: Path) -> None:
    ids = give(keyring, 3)
    query = (
        "SELECT wrapped FROM grant_secret UNION ALL SELECT wrapped FROM bucket UNION ALL SELECT wrapped FROM site_key "
        "UNION ALL SELECT wrapped_store_key FROM keyring"
    )
    before = {box for (box,) in peek(tmp_path / KEYRING, query)}
    signed, derived = keyring.sign(b"payload", "typ"), keyring.derived_key("a use")
    seed = keyring.projection_seed("m@1")

    destroy(keyring, ids[0])

    after = {box for (box,) in peek(tmp_path / KEYRING, query)}
    assert (len(before), len(after)) == (8, 7)
    assert not before & after
    # The keys of the site are wrapped again, and stay what they are: signatures, MACs and sketches stay valid.
    assert keyring.sign(b"payload", "typ") == signed
    assert keyring.derived_key("a use") == derived
    assert keyring.projection_seed("m@1") == seed
    assert keyring.projection_epoch == 1


def test_the_keys_in_memory_are_zeroed_when_they_are_replaced(keyring: Keyring) -> None:
    ids = give(keyring, 2)
    keys = keyring.unlocked
    bucket_key = keys.bucket_key(KeyId(1, 1))
    assert bucket_key is not None
    old = [keys.root_key.buffer, keys.store_key.buffer, bucket_key.buffer]

    destroy(keyring, ids[0])

    assert not any(any(buffer) for buffer in old)
    assert all(any(key.buffer) for key in (keys.root_key, keys.store_key, keys.site.authentication))
    assert keys.key_ids() == {KeyId(1, 2)}


def test_a_commit_that_fails_leaves_the_old_keys_in_use(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = give(keyring, 2)
    with monkeypatch.context() as failing:
        failing.setattr("volens.store.keys.key_change._change_store_key", _fail)
        with pytest.raises(UnavailableError, match="injected"):
            destroy(keyring, ids[0])

    assert len(opened(keyring, ids)) == 2
    assert keyring.epoch == 1
    assert destroy(keyring, ids[0]).root_key_destroyed
    assert len(opened(keyring, ids)) == 1


def _fail(*_: object, **__: object) -> None:
    raise UnavailableError("injected: the disk is full")


def test_a_repeated_destruction_makes_new_keys_once_more(keyring: Keyring) -> None:
    ids = give(keyring, 2)
    destroy(keyring, ids[0])

    change = destroy(keyring, ids[0])

    assert (change.destroyed_epoch, change.secrets) == (2, 0)
    assert len(opened(keyring, ids)) == 1


def test_a_root_key_alone_is_kept_and_the_result_says_so(keyring: Keyring, tmp_path: Path, holder: FileHolder) -> None:
    ids = give(keyring, 2)
    root_key = holder.open(Slot.CURRENT)
    assert root_key is not None
    bare = Keyring.open(tmp_path / KEYRING, root_key)

    change = destroy(bare, ids[0])

    assert (change.destroyed_epoch, change.root_key_destroyed) == (1, False)
    assert len(opened(bare, ids)) == len(opened(keyring, ids)) == 1
    bare.close()
    # A process with the holder replaces it later.
    renew_root_key(keyring, BITS.randbytes, NOW)
    with pytest.raises(TamperError, match="does not open"):
        Keyring.open(tmp_path / KEYRING, root_key)
    epoch = keyring.epoch
    renew_root_key(keyring, BITS.randbytes, NOW)
    assert keyring.epoch == epoch


def test_a_damaged_secret_of_another_person_does_not_stop_an_erasure(keyring: Keyring, tmp_path: Path) -> None:
    ids = give(keyring, 3)
    tamper(tmp_path / KEYRING, "UPDATE grant_secret SET wrapped = zeroblob(61) WHERE receipt_id = ?", ids[1])

    assert destroy(keyring, ids[0]).secrets == 1

    assert len(opened(keyring, [ids[2]])) == 1
    with pytest.raises(TamperError, match="a secret is of a bucket key that the keyring does not have"):
        keyring.grant_secret(ids[1])
    assert destroy(keyring, ids[1]).secrets == 1


def test_another_process_follows_every_change(keyring: Keyring, other: Keyring) -> None:
    ids = give(keyring, 3)
    for receipt_id in ids[:2]:
        assert len(opened(other, ids)) == len(opened(keyring, ids))
        destroy(keyring, receipt_id)
    assert len(opened(other, ids)) == 1
    assert other.epoch == keyring.epoch == 3
    assert not other.refresh()

    (new,) = give(other)
    assert opened(keyring, [new]) == opened(other, [new])
    destroy(other, ids[2])
    assert keyring.refresh()
    assert opened(keyring, ids) == {}
    assert len(opened(keyring, [new])) == 1


def test_a_process_makes_its_change_from_the_newest_keys(keyring: Keyring, other: Keyring) -> None:
    ids = give(keyring, 3)
    destroy(keyring, ids[0])

    assert destroy(other, ids[1]).destroyed_epoch == 2

    assert len(opened(keyring, ids)) == len(opened(other, ids)) == 1


def test_a_wrapped_secret_opens_without_the_database_until_its_bucket_has_a_new_key(keyring: Keyring) -> None:
    ids = give(keyring, 2)
    wrapped, expected = keyring.wrapped(ids), opened(keyring, ids)
    with GrantSecret(bytes(32)) as into:
        assert keyring.open_wrapped(ids[1], wrapped[ids[1]], into)
        assert into.buffer == expected[ids[1]]
        with pytest.raises(TamperError, match="does not open"):
            keyring.open_wrapped(ids[0], wrapped[ids[1]], into)
        assert not any(into.buffer)

    destroy(keyring, ids[0])

    with GrantSecret(bytes(32)) as into:
        assert not keyring.open_wrapped(ids[1], wrapped[ids[1]], into)
        assert keyring.open_wrapped(ids[1], keyring.wrapped(ids)[ids[1]], into)
        assert into.buffer == expected[ids[1]]


def test_secrets_that_were_never_used_are_deleted_without_new_keys(keyring: Keyring) -> None:
    ids = give(keyring, 2)
    keyring.discard_secrets(ids[:1])
    assert set(opened(keyring, ids)) == {ids[1]}
    assert keyring.epoch == 1
    with keyring.read() as connection:
        assert connection.exec_driver_sql("SELECT held FROM bucket").all() == [(1,)]


def test_a_closed_keyring_seals_nothing_under_zeroed_keys(keyring: Keyring) -> None:
    ids = give(keyring, 2)
    keyring.unlocked.wipe()
    with pytest.raises(UnavailableError, match="the keyring was closed meanwhile"):
        destroy(keyring, ids[0])
    with pytest.raises(UnavailableError, match="the keyring was closed meanwhile"):
        give(keyring)
