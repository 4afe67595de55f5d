"""Faults of disk and locks: a full disk, a locked file, a blocking reader, a missing file. All or nothing changes."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dying
import pytest
from connections import lock_timeout, pragmas
from house import Clock, House, no_models
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from volens import Site
from volens.consent import EndReason, ErasureIncompleteError, TamperError, UnavailableError
from volens.erase import erase_consents
from volens.store.keys import KeyChange, destroy_secrets

DATA = "volens.db"
KEYRING = "keyring.db"


@pytest.fixture(autouse=True)
def _short_patience() -> Iterator[None]:
    with lock_timeout(0.05):
        yield


@contextmanager
def locked(home: Path, name: str) -> Iterator[None]:
    """Hold the write lock as another process would."""
    with closing(sqlite3.connect(home / name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def being_read(home: Path, name: str) -> Iterator[None]:
    """Hold a snapshot as another process would."""
    with closing(sqlite3.connect(home / name, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield
        other.execute("ROLLBACK")


def test_on_a_full_disk_a_withdrawal_is_refused_or_resumed_as_a_whole(tmp_path: Path) -> None:
    house = House.build(tmp_path / "template")
    leaver, stayer = house.admit(), house.admit()
    house.site.close()
    said: set[str] = set()
    # Each limit stops the write-ahead log at another point, from the first page on.
    for size_bytes in (0, 40_000, 90_000, 150_000, 300_000, 340_000, 360_000, *range(400_000, 500_000, 10_000)):
        home = Path(shutil.copytree(tmp_path / "template", tmp_path / str(size_bytes)))
        result = tmp_path / f"{size_bytes}.txt"
        assert dying.run(dying.withdraw_on_a_full_disk, home, leaver.code, size_bytes, result) == 0
        outcome = result.read_text()
        said.add(outcome.partition(":")[0])
        with Site.open(home, load_extractor=no_models, clock=Clock()) as site:
            again = House.of(site, [leaver, stayer])
            assert again.sees(stayer)
            assert again.sees(leaver) is outcome.startswith("UnavailableError")
            assert site.status().unfinished_erasures == 0
            site.withdraw(code=leaver.code)
            assert not again.sees(leaver)
            site.log.verify()
    assert said >= {"UnavailableError", "ErasureIncompleteError"}


def test_a_full_data_file_refuses_a_new_consent_and_keeps_what_is_there(house: House) -> None:
    person = house.admit()

    @event.listens_for(house.store.data._engine, "begin")
    def no_room(connection: object) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    with pytest.raises(UnavailableError, match="the disk is full; this step was not done"):
        _invite_many(house)
    event.remove(house.store.data._engine, "begin", no_room)
    house.reopen()
    assert house.sees(person)
    house.site.log.verify()


@pytest.mark.parametrize("name", [DATA, KEYRING])
def test_a_locked_file_refuses_a_new_consent_and_nothing_is_left_of_it(house: House, name: str) -> None:
    house.reopen()  # with the short lock timeout
    before = house.site.status()

    with locked(house.site.home, name), pytest.raises(UnavailableError, match=f"{name} is locked by another process"):
        house.invite()

    assert house.site.status() == before
    house.invite()


def test_a_locked_data_file_refuses_a_withdrawal_and_this_process_obeys_it(house: House) -> None:
    person = house.admit()
    house.reopen()

    with locked(house.site.home, DATA), pytest.raises(UnavailableError, match="is locked by another process"):
        house.withdraw(person)

    assert not house.sees(person)
    house.reopen()
    assert house.sees(person)  # nothing had been recorded
    house.withdraw(person)
    assert not house.sees(person)


def test_a_locked_keyring_stops_matching_at_once_and_the_erasure_is_finished_later(house: House) -> None:
    person = house.admit()
    house.reopen()

    with locked(house.site.home, KEYRING):
        with pytest.raises(ErasureIncompleteError, match="matching has stopped, but the erasure is not finished"):
            house.withdraw(person)
        assert not house.sees(person)
        assert house.site.status().unfinished_erasures == 1

    (erased,) = house.site.sweep().resumed
    assert erased == house.withdraw(person)


@pytest.mark.parametrize("name", [DATA, KEYRING])
def test_a_blocking_reader_leaves_the_erasure_unfinished_until_it_ends(house: House, name: str) -> None:
    person = house.admit()
    house.reopen()

    with being_read(house.site.home, name):
        with pytest.raises(ErasureIncompleteError, match="matching has stopped"):
            house.withdraw(person)
        assert not house.sees(person)
        assert not list(house.site.home.glob("certificates/*"))
        house.reopen()
        assert house.site.unfinished is not None

    house.reopen()  # opening finishes it
    assert house.site.unfinished is None
    assert house.withdraw(person).certificate_path.exists()


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        (DATA, UnavailableError, "there is no volens.db"),
        (KEYRING, UnavailableError, "there is no keyring.db"),
        ("root.key", UnavailableError, "cannot read .*root.key: No such file"),
    ],
)
def test_a_missing_file_is_named(house: House, name: str, error: type[Exception], sentence: str) -> None:
    house.site.close()
    (house.site.home / name).unlink()

    with pytest.raises(error, match=sentence):
        Site.open(house.site.home, clock=house.clock)


@pytest.mark.parametrize("name", [DATA, KEYRING])
def test_a_file_of_a_newer_version_is_left_alone(house: House, name: str) -> None:
    house.site.close()
    with closing(sqlite3.connect(house.site.home / name)) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
        other.commit()
    before = (house.site.home / name).read_bytes()

    with pytest.raises(UnavailableError, match=f"{name} was written by a newer Volens .*; upgrade Volens"):
        Site.open(house.site.home, clock=house.clock)

    assert (house.site.home / name).read_bytes() == before


def test_a_read_only_file_is_refused_with_the_remedy(house: House) -> None:
    house.site.close()
    # Root may write to files without write permission, so the refusal is SQLite's own.
    refused = pytest.raises(UnavailableError, match=r"cannot be written; make the file and its folder writable")
    with pragmas("PRAGMA query_only = ON"), refused:
        Site.open(house.site.home, clock=house.clock)


@pytest.mark.parametrize("name", [DATA, KEYRING])
def test_an_older_copy_of_a_file_is_distinguished_from_the_newest(house: House, name: str) -> None:
    person = house.admit()
    house.site.close()
    home = house.site.home
    shutil.copy(home / name, home.parent / "older")
    house.site = Site.open(home, load_extractor=no_models, clock=house.clock)
    house.withdraw(person)
    house.site.close()
    shutil.copy(home.parent / "older", home / name)

    if name == DATA:
        with pytest.raises(TamperError, match=r"older data file, and withdrawals since then would be undone"):
            Site.open(home, clock=house.clock)
    else:
        # An older keyring brings the wrapped secret back, but the root key that opens it is destroyed.
        with pytest.raises(TamperError, match=r"keyring.db does not open with this root key"):
            Site.open(home, load_extractor=no_models, clock=house.clock)


def test_without_its_keyring_a_site_refuses_a_withdrawal_and_opens_no_door(house: House) -> None:
    person, other = house.admit(), house.admit()
    assert house.sees(person)
    away = house.site.home.parent / KEYRING
    (house.site.home / KEYRING).rename(away)

    with pytest.raises(UnavailableError, match=r"keyring.db was moved away or replaced while it is in use"):
        house.withdraw(person)
    with pytest.raises(UnavailableError, match="moved away"):  # no door opens without it
        house.sees(other)
    assert not (house.site.home / KEYRING).exists()  # no new file was made in its place

    away.rename(house.site.home / KEYRING)
    assert not house.sees(person)  # refused as a whole, and obeyed by this process
    house.withdraw(person)
    assert not house.sees(person)


def test_an_erasure_stays_unfinished_until_a_lost_keyring_is_back(house: House) -> None:
    person, other = house.admit(), house.admit()
    away = house.site.home.parent / KEYRING

    def gone(*arguments: Any) -> KeyChange:  # noqa: ANN401  stands in for the function
        (house.site.home / KEYRING).rename(away)
        return destroy_secrets(*arguments)

    with pytest.MonkeyPatch.context() as moved:
        moved.setattr("volens.erase.procedure.destroy_secrets", gone)
        with pytest.raises(ErasureIncompleteError, match=r"matching has stopped, .* moved away"):
            house.withdraw(person)
    with pytest.raises(ErasureIncompleteError, match="moved away"):
        house.withdraw(person)
    assert not list(house.site.home.glob("certificates/*"))

    away.rename(house.site.home / KEYRING)
    assert not house.sees(person)
    assert house.sees(other)
    house.reopen()  # which finishes it
    assert house.site.unfinished is None
    assert len(house.site.resumed) == 1
    assert house.store.keyring.wrapped_secrets([person.receipt_id]).get(person.receipt_id) is None


def test_a_keyring_that_cannot_be_read_refuses_a_withdrawal(house: House) -> None:
    person = house.admit()
    house.site.close()
    content = (house.site.home / KEYRING).read_bytes()
    (house.site.home / KEYRING).write_bytes(b"no database at all" * 100)
    with pytest.raises(TamperError, match=r"keyring.db is not a database"):
        Site.open(house.site.home, load_extractor=no_models, clock=house.clock)  # type: ignore[arg-type]
    (house.site.home / KEYRING).write_bytes(content)
    house.site = Site.open(house.site.home, load_extractor=no_models, clock=house.clock)  # type: ignore[arg-type]
    house.withdraw(person)
    assert not house.sees(person)


def test_with_a_locked_keyring_a_batch_stops_matching_and_is_finished_later(house: House) -> None:
    people = [house.admit() for _ in range(5)]
    house.reopen()
    ids = [person.receipt_id for person in people]
    with locked(house.site.home, KEYRING):
        with pytest.raises(ErasureIncompleteError, match="5 of 5 erasures are not finished"):
            erase_consents(house.site.installation, ids, EndReason.ORDERED)
        assert not any(house.sees(person) for person in people)

    house.reopen()
    assert house.site.status().unfinished_erasures == 0
    assert len(list((house.site.home / "certificates").iterdir())) == 5


def test_a_database_whose_writes_fail_half_way_is_rolled_back_whole(house: House) -> None:
    person = house.admit()
    failing = house.store.data._engine

    def fail_late(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "INSERT INTO erasure" in statement:
            raise sqlite3.OperationalError("injected")

    event.listen(failing, "before_cursor_execute", fail_late)
    with pytest.raises(OperationalError) as caught:
        house.withdraw(person)
    assert person.receipt_id not in str(caught.value)
    event.remove(failing, "before_cursor_execute", fail_late)

    assert not house.sees(person)
    house.reopen()
    assert house.sees(person)
    house.site.log.verify()


def _invite_many(house: House) -> None:
    for _ in range(20):
        house.invite()
