"""Key rotation: secrets in use open, old copies do not, and other processes continue."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House, no_models

from volens import Site
from volens.consent import InputError, TamperError
from volens.store.keys import Keyring
from volens.store.keys.root_key import read_root_key_file
from volens.store.schema.keyring_tables import BUCKET_SIZE


@pytest.fixture
def second(house: House) -> Iterator[House]:
    """Another process on the same home."""
    with Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes) as site:  # type: ignore[arg-type]
        yield House.of(site, house.people)


def sketches(house: House) -> bytes:
    (gallery,) = house.galleries.built().values()
    return b"".join(bytes(buffer) for buffer in gallery.engine.buffers())


def replaced_buffers(keyring: Keyring) -> list[bytearray]:
    """Return the buffers of the keys that a rotation replaces: store key, projection key, bucket keys."""
    keys = keyring.unlocked
    buckets = [keys.bucket_key(one) for one in keys.key_ids()]
    return [one.buffer for one in (keys.store_key, keys.site.projection, *buckets) if one is not None]


def everything(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


@pytest.mark.parametrize("root", [False, True])
def test_after_a_rotation_people_match_as_before_by_new_sketches(house: House, *, root: bool) -> None:
    for _ in range(3):
        house.admit()
    assert all(house.sees(person) for person in house.people)
    before, steps = sketches(house), list[tuple[int, int]]()

    rotated = house.site.keys.rotate(root=root, progress=lambda done, total: steps.append((done, total)))

    assert (rotated.epoch, rotated.buckets, rotated.new_root, rotated.resumed) == (2, 1, root, False)
    assert steps == [(0, 1), (1, 1)]
    assert all(house.sees(person) for person in house.people)
    after = sketches(house)
    assert not any(before[at : at + 16] in after for at in range(0, len(before), 128) if any(before[at : at + 128]))
    house.reopen()
    assert all(house.sees(person) for person in house.people)
    assert house.site.status().store_key_epoch == 2
    assert house.site.log.verify().kinds["keys.rotated"] == 1


@pytest.mark.parametrize("root", [False, True])
def test_no_byte_of_the_old_wrappings_is_left(house: House, *, root: bool) -> None:
    people = [house.admit() for _ in range(5)]
    old = [house.store.keyring.wrapped_secrets([person.receipt_id]).get(person.receipt_id) for person in people]
    old_root = (house.site.home / "root.key").read_bytes()
    home = house.site.home
    assert all(box is not None and box in everything(home) for box in old)

    house.site.keys.rotate(root=root)

    now = everything(home)
    assert not any(box is not None and box[13 + at : 21 + at] in now for box in old for at in range(32))
    assert (old_root in now) is not root


def test_after_a_rotation_with_root_no_remaining_key_opens_an_old_keyring(house: House, tmp_path: Path) -> None:
    house.admit()
    stolen = tmp_path / "stolen.db"
    house.store.keyring.engine.scrub()
    shutil.copy(house.site.home / "keyring.db", stolen)
    Keyring.open(stolen, read_root_key_file(house.site.home / "root.key")).close()

    house.site.keys.rotate(root=True)

    with pytest.raises(TamperError, match="does not open with this root key"):
        Keyring.open(stolen, read_root_key_file(house.site.home / "root.key"))
    assert not (house.site.home / "root.key.next").exists()


def test_another_process_works_through_a_rotation(house: House, second: House) -> None:
    people = [house.admit() for _ in range(2)]
    assert all(second.sees(person) for person in people)

    house.site.keys.rotate(root=True)

    assert all(second.sees(person) for person in people)
    newcomer = second.enroll(second.invite())
    assert house.sees(newcomer)
    second.withdraw(people[0])
    assert not house.sees(people[0])
    assert second.galleries.built().popitem()[1].epoch == 2


def test_the_old_keys_are_zeroed_in_every_process_that_refreshes(house: House, second: House) -> None:
    house.admit()
    second.sees(house.people[0])
    old = [buffer for one in (house, second) for buffer in replaced_buffers(one.store.keyring)]
    assert len(old) == 6

    house.site.keys.rotate()
    second.sees(house.people[0])

    assert not any(any(buffer) for buffer in old)
    assert house.store.keyring.epoch == second.store.keyring.epoch == 2


def test_many_buckets_are_renewed_one_by_one(house: House) -> None:
    person = house.admit()
    keyring = house.store.keyring
    for _ in range(2 * BUCKET_SIZE):
        keyring.new_grant_secret(house.bits.randbytes(16).hex(), house.bits.randbytes, house.clock()).wipe()  # type: ignore[arg-type]
    steps: list[tuple[int, int]] = []

    assert house.site.keys.rotate(progress=lambda done, total: steps.append((done, total))).buckets == 3

    status = house.site.keys.status()
    assert (status.buckets, status.secrets) == (3, 2 * BUCKET_SIZE + 1)
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {key_id.number for key_id in keyring.unlocked.key_ids()} == {2}
    assert house.sees(person)


def test_keys_can_be_rotated_several_times(house: House) -> None:
    person = house.admit()
    for epoch in range(2, 6):
        assert house.site.keys.rotate(root=epoch % 2 == 0).epoch == epoch
        assert house.sees(person)


def test_erased_people_stay_erased_after_a_rotation(house: House) -> None:
    ada, ben = house.admit(), house.admit()
    house.withdraw(ada)

    house.site.keys.rotate()

    assert not house.sees(ada)
    assert house.sees(ben)
    assert house.site.keys.status().secrets == 1


def test_a_rotation_has_a_deadline(house: House) -> None:
    status = house.site.keys.status()
    assert (status.every_days, status.overdue, status.unfinished) == (90, False, False)
    house.site.keys.schedule(30)
    house.clock.move(days=31)
    assert house.site.keys.status().overdue
    assert house.site.status().rotation_overdue

    house.site.keys.rotate()

    assert not house.site.keys.status().overdue
    for days in (0, -1, 1099):
        with pytest.raises(InputError, match=f"got a rotation every {days} days; expected 1 to 1098"):
            house.site.keys.schedule(days)


def test_a_secret_that_does_not_open_keeps_nobody_else_from_new_keys(house: House) -> None:
    from tests.unit.store.raw import KEYRING, tamper  # noqa: PLC0415

    ada, ben = house.admit(), house.admit()
    assert house.sees(ben)
    tamper(
        house.site.home / KEYRING, "UPDATE grant_secret SET wrapped = zeroblob(61) WHERE receipt_id = ?", ada.receipt_id
    )

    house.site.keys.rotate()

    assert not house.site.keys.status().unfinished
    with house.store.keyring.grant_secret(ben.receipt_id) as secret:
        assert any(secret.buffer)
    with pytest.raises(TamperError, match="integrity: a secret is of a bucket key that the keyring does not have"):
        house.store.keyring.grant_secret(ada.receipt_id)
