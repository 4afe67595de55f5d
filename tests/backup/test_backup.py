"""Backup: complete, private, without keys, and made while other processes write; a failed backup leaves nothing."""

import hashlib
import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import dying
import pytest
import restoring
from house import House, no_models

from tests.backup.conftest import head_of
from tests.erasure.test_bytes_after_withdrawal import canaries, files_with
from tests.unit.store.raw import DATA, KEYRING, peek
from volens import Site
from volens.consent import InputError
from volens.store.backup import read_manifest, verify_manifest
from volens.store.log import log_size


def test_a_backup_is_the_data_file_and_a_signed_manifest_for_the_owner_only(house: House, tmp_path: Path) -> None:
    house.admit()
    folder = tmp_path / "backup"

    made = house.site.backup(folder)

    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", DATA]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    manifest = read_manifest((folder / "manifest.json").read_bytes())
    assert verify_manifest(manifest, house.site.verifier_key) == head_of(house)
    assert manifest.files == made.files
    (fact,) = made.files
    assert fact.sha256 == hashlib.sha256((folder / DATA).read_bytes()).hexdigest()
    assert len((folder / "manifest.json").read_bytes()) < 2000
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_backup_is_logged(house: House, tmp_path: Path) -> None:
    house.site.backup(tmp_path / "backup")
    details = peek(tmp_path / "backup" / DATA, "SELECT details FROM audit_opening ORDER BY seq DESC LIMIT 1")
    assert json.loads(details[0][0]) == {"with_keyring": 0}
    assert house.site.log.verify().kinds["backup.begun"] == 1


@pytest.mark.parametrize("more", [{}, {"with_keyring": True}])
def test_a_backup_never_has_the_root_key_and_the_keyring_on_request_only(
    house: House, tmp_path: Path, more: dict[str, bool]
) -> None:
    person = house.admit()
    wrapped = house.store.keyring.wrapped_secrets([person.receipt_id]).get(person.receipt_id)
    assert wrapped is not None
    root_key = (house.site.home / "root.key").read_bytes().strip().rpartition(b":")[2]

    house.site.backup(tmp_path / "backup", **more)

    files = {path.name: path.read_bytes() for path in (tmp_path / "backup").iterdir()}
    assert (KEYRING in files) is bool(more)
    assert any(wrapped in content for content in files.values()) is bool(more)
    assert not any(root_key in content for content in files.values())
    assert "root.key" not in files


def test_a_backup_has_nothing_of_a_person_who_withdrew_before(house: House, tmp_path: Path) -> None:
    people = [house.admit() for _ in range(5)]
    searched = canaries(house, people[2])
    house.withdraw(people[2])

    house.site.backup(tmp_path / "backup", with_keyring=True)

    assert not any(files_with(tmp_path / "backup", value) for value in searched.values())
    # No page is unused, so none has old content.
    with house.store.data.read_copy(tmp_path / "backup" / DATA) as connection:
        assert connection.exec_driver_sql("PRAGMA freelist_count").scalar() == 0


def test_a_backup_is_one_snapshot_while_another_process_writes(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.store.sqlite.database._TICK_INSTRUCTIONS", 50)
    for _ in range(3):
        house.admit()
    other = House.of(Site.open(house.site.home, load_extractor=no_models, clock=house.clock))
    before, reported = house.site.status().log_size, list[tuple[int, int]]()

    def progress(done: int, total: int) -> None:
        if not reported:
            other.admit()
        reported.append((done, total))

    made = house.site.backup(tmp_path / "backup", progress=progress)

    assert house.site.status().log_size == before + 1 + 3
    with house.store.data.read_copy(tmp_path / "backup" / DATA) as connection:
        assert log_size(connection) == made.log_size == before + 1
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert len(reported) > 2
    assert reported[-1][0] == reported[-1][1]
    assert all(0 <= done <= total for done, total in reported)
    other.site.close()


def test_a_backup_does_not_wait_for_a_reader(house: House, tmp_path: Path) -> None:
    with closing(sqlite3.connect(house.site.home / DATA, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM receipt").fetchone()
        assert house.site.backup(tmp_path / "backup").log_size == house.site.status().log_size


FOLDERS = {
    "a folder with something in it": ("not an empty folder", lambda _home, other: _with_file(other / "full")),
    "a file": ("not an empty folder", lambda _home, other: _file(other / "file")),
    "a link": ("is a symbolic link", lambda _home, other: _link(other / "link", other)),
    "a link that leads nowhere": ("is a symbolic link", lambda _home, other: _link(other / "link", other / "nowhere")),
    "the home": ("not an empty folder", lambda home, _other: home),
    "inside the home": ("is inside the site's home", lambda home, _other: home / "backup"),
    "inside the home by a link": (
        "is inside the site's home",
        lambda home, other: _link(other / "link", home) / "backup",
    ),
    "in no folder": ("there is no folder .* for the backup", lambda _home, other: other / "nowhere" / "backup"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_an_unsuitable_folder_is_refused_before_anything_is_written(house: House, tmp_path: Path, case: str) -> None:
    said, place = FOLDERS[case]
    folder = place(house.site.home, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    size = house.site.status().log_size

    with pytest.raises(InputError, match=said):
        house.site.backup(folder)

    assert sorted(tmp_path.rglob("*")) == before
    assert house.site.status().log_size == size


def test_an_empty_folder_is_accepted(house: House, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    house.site.backup(tmp_path / "empty")
    assert (tmp_path / "empty" / DATA).is_file()


def test_on_a_full_disk_no_backup_is_made_and_nothing_is_left(house: House, tmp_path: Path) -> None:
    house.admit()
    house.site.close()
    (tmp_path / "disk").mkdir()
    result = tmp_path / "said.txt"
    room = (house.site.home / DATA).stat().st_size - 1  # the copy has this size, and all other files are smaller

    folder = tmp_path / "disk" / "backup"
    assert dying.run(restoring.back_up_on_a_full_disk, house.site.home, folder, room, result) == 0

    said = result.read_text()
    assert said.startswith("UnavailableError: the backup was not made, and nothing is left of it: ")
    assert "make room" in said or "check the disk" in said
    assert list((tmp_path / "disk").iterdir()) == []
    house.reopen()
    house.site.backup(folder)


def _with_file(folder: Path) -> Path:
    folder.mkdir()
    (folder / "something").touch()
    return folder


def _file(path: Path) -> Path:
    path.touch()
    return path


def _link(path: Path, to: Path) -> Path:
    path.symlink_to(to)
    return path
