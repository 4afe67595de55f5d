"""Opening a store: keyring and data file must be of one site, and neither may be an older copy."""

import shutil
from pathlib import Path

import pytest
from house import House

from tests.unit.store.raw import DATA, KEYRING, lawless, peek, tamper
from volens import Site
from volens.consent import SiteId, TamperError, UnavailableError, VolensError
from volens.consent.errors import DamagedDataError
from volens.consent.receipt import Controller
from volens.service.sample_notice import publish_sample_notice
from volens.store import Store
from volens.store.keys import Keyring
from volens.store.keys.root_key import make_root_key_file, read_root_key_file


@pytest.fixture
def other(tmp_path: Path) -> House:
    """Another site, closed."""
    house = House.build(tmp_path / "other", seed=5)
    house.site.close()
    return house


def refused(house: House, words: str) -> None:
    with pytest.raises(VolensError, match=words) as caught:
        Site.open(house.site.home, clock=house.clock)
    assert type(caught.value) in {TamperError, DamagedDataError}


def test_a_store_opens_unchanged(house: House) -> None:
    person = house.admit()
    before = house.site.status()

    house.reopen()

    assert house.site.status() == before
    assert house.sees(person)


def test_a_data_file_of_another_site_is_refused(house: House, other: House) -> None:
    house.site.close()
    shutil.copy(other.site.home / DATA, house.site.home / DATA)

    refused(house, "integrity: keyring and data are of different sites; use two that belong together")


def test_a_data_file_with_a_forged_site_id_is_refused(house: House, other: House) -> None:
    site_id = house.store.site.controller.site_id
    house.site.close()
    shutil.copy(other.site.home / DATA, house.site.home / DATA)
    tamper(house.site.home / DATA, "UPDATE site SET site_id = ?", site_id)

    refused(house, "integrity: keyring and data are of different sites")


def test_a_data_file_with_a_forged_site_and_key_has_another_log(house: House, other: House) -> None:
    record = house.store.site
    house.site.close()
    shutil.copy(other.site.home / DATA, house.site.home / DATA)
    tamper(
        house.site.home / DATA,
        "UPDATE site SET site_id = ?, public_key = ?",
        record.controller.site_id,
        record.public_key,
    )

    refused(house, "integrity: the data file's log is not the one that the keyring remembers")


def test_another_public_key_in_the_data_file_is_refused(house: House) -> None:
    house.site.close()
    tamper(house.site.home / DATA, "UPDATE site SET public_key = zeroblob(32)")

    refused(house, "integrity: keyring and data are of different sites")


def test_a_keyring_of_another_site_is_refused(house: House, other: House) -> None:
    house.site.close()
    shutil.copy(other.site.home / KEYRING, house.site.home / KEYRING)
    refused(house, "integrity: keyring.db does not open with this root key")

    shutil.copy(other.site.home / "root.key", house.site.home / "root.key")
    refused(house, "integrity: keyring and data are of different sites")


def test_a_data_file_without_a_site_is_refused(house: House) -> None:
    house.site.close()
    tamper(house.site.home / DATA, "DELETE FROM site")

    refused(house, r"integrity: volens.db has no site; restore the data file")


def test_an_older_copy_of_the_data_file_is_refused(house: House) -> None:
    person = house.admit()
    house.reopen()
    house.site.close()
    home = house.site.home
    shutil.copy(home / DATA, home.parent / "older.db")
    house.reopen()
    house.withdraw(person)
    house.site.close()
    shutil.copy(home.parent / "older.db", home / DATA)

    refused(house, "integrity: the data file's log has 9 entries, the keyring remembers 11; this is an older data file")


def test_an_older_copy_with_a_forked_log_is_refused_at_any_length(house: House) -> None:
    person = house.admit()
    home = house.site.home
    house.site.close()
    fork = house.site.home.parent / "fork"
    shutil.copytree(home, fork)
    house.reopen()
    house.withdraw(person)
    house.site.close()
    forked = House.of(Site.open(fork, clock=house.clock), [person])
    for _ in range(3):
        forked.invite()
    forked.site.close()
    shutil.copy(fork / DATA, home / DATA)

    refused(house, "integrity: the data file's log is not the one that the keyring remembers")


def test_a_missing_node_of_the_remembered_head_is_reported(house: House) -> None:
    house.site.close()
    tamper(house.site.home / DATA, "DELETE FROM audit_node")

    refused(house, "integrity: a node of the audit log is missing; restore the data file")


def test_a_keyring_behind_the_log_is_repaired(house: House) -> None:
    before = house.store.keyring.head()
    house.site.close()
    shutil.copy(house.site.home / KEYRING, house.site.home.parent / "behind.db")
    house.reopen()
    publish_sample_notice(house.site, "lobby", more="We also keep the time.")
    head = house.store.keyring.head()
    house.site.close()
    shutil.copy(house.site.home.parent / "behind.db", house.site.home / KEYRING)

    house.reopen()

    assert head.size > before.size
    assert house.store.keyring.head() == head


def test_the_keyring_remembers_every_change_at_once(house: House) -> None:
    sizes = [house.store.keyring.head().size]
    for _ in range(3):
        house.invite()
        sizes.append(house.store.keyring.head().size)
        assert sizes[-1] == house.site.status().log_size
    assert sizes == sorted(set(sizes))


def test_a_commit_stands_if_the_keyring_cannot_be_written_then(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_keyring: Keyring, *_: object, **_options: object) -> None:
        raise UnavailableError("keyring.db is locked by another process")

    with monkeypatch.context() as locked:
        locked.setattr("volens.store.store.remember", refuse)
        house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=1)
    assert house.store.keyring.head().size < house.site.status().log_size

    house.reopen()

    assert house.store.keyring.head().size == house.site.status().log_size
    assert len(house.site.status().zones) == 2


def test_a_write_that_changes_nothing_signs_nothing(house: House) -> None:
    count = "SELECT count(*) FROM audit_checkpoint"
    before = peek(house.site.home / DATA, count)

    with house.store.write():
        pass

    assert peek(house.site.home / DATA, count) == before


ANOTHER = Controller(SiteId("x"), "n", "c")


def test_a_store_is_never_made_over_another(house: House, tmp_path: Path) -> None:
    home = house.site.home
    before = peek(home / DATA, "SELECT * FROM site")
    with read_root_key_file(home / "root.key") as key, pytest.raises(UnavailableError, match="is already there"):
        Store.create(home, root_key=key, controller=ANOTHER, clock=house.clock, random=house.bits.randbytes)
    assert peek(home / DATA, "SELECT * FROM site") == before

    # Only the keyring exists: no data file was made.
    folder = tmp_path / "half"
    folder.mkdir()
    shutil.copy(home / DATA, folder / DATA)
    with make_root_key_file(folder / "root.key", house.bits.randbytes) as key, pytest.raises(UnavailableError):
        Store.create(folder, root_key=key, controller=ANOTHER, clock=house.clock, random=bytes)
    assert peek(folder / DATA, "SELECT * FROM site") == before


def test_closing_a_store_closes_both_databases(house: House) -> None:
    house.admit()
    house.site.close()

    assert {file.name for file in house.site.home.iterdir()} == {DATA, KEYRING, "root.key", "site.pub", "checkpoint"}
    with lawless(house.site.home / DATA) as connection:
        assert connection.execute("SELECT count(*) FROM receipt").fetchone() == (1,)
