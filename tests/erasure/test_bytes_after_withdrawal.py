"""Canary bytes are there before a withdrawal and nowhere afterwards, by a search that is not the product's own."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from house import DIMENSION, MODEL, House, Person

from index import Projection
from store import references_of, sealed_name

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
    """Return everything that must be gone."""
    receipt = person.take_home.receipt
    with house.store.read() as connection:
        (reference,) = references_of(connection, person.receipt_id)
        name = sealed_name(connection, person.receipt_id)
    wrapped = house.store.keyring.wrapped(person.receipt_id)
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
    return keys | {
        "plain embedding": person.face.tobytes(),
        "plain name": b"Ada Canary Example",
        "sketch": projection.sketch(person.face).tobytes(),
        # without version byte and nonce, which the product searches for by itself
        "sealed embedding": reference.sealed_embedding[13:],
        "sealed name": name[13:],
        "wrapped grant secret": wrapped[13:],
    }


def test_everything_of_the_person_is_gone_from_every_file_and_from_the_gallery(house: House) -> None:
    others = [house.admit() for _ in range(20)]
    person = house.admit()
    assert house.sees(person)
    home = house.site.home
    searched = canaries(house, person)
    # What is kept is where it should be, so the search can find it; what is never written is nowhere.
    found = {what: files_with(home, value) for what, value in searched.items()}
    assert found["sealed embedding"] & {"volens.db", "volens.db-wal"}
    assert found["sealed name"] & {"volens.db", "volens.db-wal"}
    assert found["wrapped grant secret"] & {"keyring.db", "keyring.db-wal"}
    never = ("plain embedding", "plain name", "sketch", "grant secret", "reference key", "profile key")
    assert not any(found[what] for what in never)
    (gallery,) = house.galleries.built()
    assert any(searched["sketch"] in bytes(buffer) for buffer in gallery.engine.buffers())

    house.withdraw(person)

    assert {what: files_with(home, value) for what, value in searched.items()} == {what: set() for what in searched}
    assert not any(searched["sketch"] in bytes(buffer) for buffer in gallery.engine.buffers())
    assert all(house.sees(other) for other in others)


def test_a_second_reader_of_the_files_finds_nothing_after_a_crash_and_resume_either(house: House) -> None:
    person = house.admit()
    searched = canaries(house, person)
    stop = pytest.MonkeyPatch()
    stop.setattr("erase.procedure._Batch.step", _stopped)
    with pytest.raises(KeyboardInterrupt):
        house.withdraw(person)
    stop.undo()
    assert not house.sees(person)

    house.reopen()

    assert not any(files_with(house.site.home, value) for value in searched.values())


def test_expiry_erases_as_thoroughly_as_a_withdrawal(house: House) -> None:
    person = house.admit()
    searched = canaries(house, person)
    house.clock.move(days=91)

    (erased,) = house.site.sweep().expired

    assert erased.reason == "expired"
    assert not any(files_with(house.site.home, value) for value in searched.values())


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt
