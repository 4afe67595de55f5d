"""Canary bytes are there before a withdrawal and nowhere afterwards, by a search that is not the product's own."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from house import DIMENSION, MODEL, House, Person
from interruptions import interrupted_after_stop

from volens.consent import EndReason, ErasureIncompleteError
from volens.erase import erase_consents
from volens.index import Projection
from volens.store.people import sealed_name, sealed_references

WINDOW = 8


def files_with(folder: Path, value: bytes) -> set[str]:
    """Return the files in which any 8 bytes of a value occur."""
    windows = [value[at : at + WINDOW] for at in range(len(value) - WINDOW + 1)]
    return {
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(window in data for data in [path.read_bytes()] for window in windows)
    }


def canaries(house: House, person: Person) -> Mapping[str, bytes]:
    """Return all values that must be erased."""
    receipt = person.take_home.receipt
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [person.receipt_id])
        name = sealed_name(connection, person.receipt_id)
    wrapped = house.store.keyring.wrapped_secrets([person.receipt_id]).get(person.receipt_id)
    assert name is not None
    assert wrapped is not None
    with house.store.keyring.grant_secret(person.receipt_id) as secret:
        sha256 = reference.receipt.sha256
        keys = {
            "grant secret": bytes(secret.buffer),
            "reference key": bytes(secret.reference_key(sha256, MODEL).buffer),
            "profile key": bytes(secret.profile_key(sha256).buffer),
        }
    projection = Projection(house.store.keyring.projection_seed(MODEL), DIMENSION)
    assert receipt.claims.receipt_id == person.receipt_id
    return (
        keys
        | {
            "plain embedding": person.face.tobytes(),
            "plain name": b"Ada Canary",  # notices have the rest in the name of the controller
            "sketch": projection.sketch(person.face).tobytes(),
            # without version byte and nonce, which the product searches for itself
            "sealed embedding": reference.sealed_embedding[13:],
            "sealed name": name[13:],
            "wrapped grant secret": wrapped[13:],
        }
    )


def test_everything_of_the_person_is_gone_from_every_file_and_from_the_gallery(house: House) -> None:
    others = [house.admit() for _ in range(20)]
    person = house.admit()
    assert house.sees(person)
    home = house.site.home
    searched = canaries(house, person)
    # The control: stored values are found by the same search, values that are never written are not.
    found = {what: files_with(home, value) for what, value in searched.items()}
    assert found["sealed embedding"] & {"volens.db", "volens.db-wal"}
    assert found["sealed name"] & {"volens.db", "volens.db-wal"}
    assert found["wrapped grant secret"] & {"keyring.db", "keyring.db-wal"}
    never = ("plain embedding", "plain name", "sketch", "grant secret", "reference key", "profile key")
    assert not any(found[what] for what in never)
    (gallery,) = house.galleries.built().values()
    assert any(searched["sketch"] in bytes(buffer) for buffer in gallery.engine.buffers())

    house.withdraw(person)

    assert {what: files_with(home, value) for what, value in searched.items()} == {what: set() for what in searched}
    assert not any(searched["sketch"] in bytes(buffer) for buffer in gallery.engine.buffers())
    assert all(house.sees(other) for other in others)


def test_a_second_reader_of_the_files_finds_nothing_after_a_crash_and_resume_either(house: House) -> None:
    person = house.admit()
    searched = canaries(house, person)
    with interrupted_after_stop(), pytest.raises(KeyboardInterrupt):
        house.withdraw(person)
    assert not house.sees(person)

    house.reopen()

    assert not any(files_with(house.site.home, value) for value in searched.values())


FILES = ["volens.db-journal", "gallery.snapshot", "logs/volens.log", "tmp/.draft.tmp", "exports/ada.zip"]


@pytest.mark.parametrize("where", FILES)
def test_each_canary_in_any_kind_of_file_is_found_before_anything_is_certified(house: House, where: str) -> None:
    """The control: the search of this file and that of the product find every form in every place."""
    for number, what in enumerate(("plain embedding", "sketch", "sealed embedding", "wrapped grant secret")):
        person = house.admit()
        house.sees(person)
        value = canaries(house, person)[what]
        planted = house.site.home / where
        planted.parent.mkdir(exist_ok=True)
        # The whole value in one file, 80 bytes of it in the next, as in a page, a core dump or a log line.
        planted.write_bytes(b"\0" * 77 + (value if number % 2 or len(value) < 200 else value[120:200]) + b"\n")
        assert planted.name in files_with(house.site.home, value)

        with pytest.raises(ErasureIncompleteError, match=f"in {where}; remove it"):
            house.withdraw(person)
        planted.unlink()
        house.withdraw(person)
        assert not files_with(house.site.home, value)


def test_several_at_once_are_gone_from_every_file_as_well(house: House) -> None:
    people = [house.admit() for _ in range(5)]
    house.sees(people[0])
    searched = [value for person in people for value in canaries(house, person).values()]

    ids = [person.receipt_id for person in people]
    erase_consents(house.site.installation, ids, EndReason.ORDERED)

    assert not any(files_with(house.site.home, value) for value in searched)


def test_expiry_erases_as_thoroughly_as_a_withdrawal(house: House) -> None:
    person = house.admit()
    searched = canaries(house, person)
    house.clock.move(days=91)

    (erased,) = house.site.sweep().expired

    assert erased.reason == "expired"
    assert not any(files_with(house.site.home, value) for value in searched.values())


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt
