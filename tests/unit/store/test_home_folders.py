"""Folders of a home: links and other users' folders are refused at opening, before a write, and before a search."""

import os
from pathlib import Path

import pytest
from house import House

from volens import Site
from volens.consent import ErasureIncompleteError, UnavailableError
from volens.erase import Needles, places

FOLDERS = ["certificates", "galleries", "a folder of their own"]


def lead_away(home: Path, name: str) -> Path:
    """Put a link in the place of a folder, which moves out of the home."""
    outside = home.parent / f"outside-{name}"
    if (home / name).exists():
        (home / name).rename(outside)
    else:
        outside.mkdir()
    (home / name).symlink_to(outside)
    return outside


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", FOLDERS)
def test_a_home_with_a_link_to_a_folder_does_not_open_until_the_folder_is_back(house: House, name: str) -> None:
    house.withdraw(house.admit())
    house.site.close()
    home = house.site.home
    outside = lead_away(home, name)

    with pytest.raises(UnavailableError, match=rf"/{name} is a symbolic link and no folder of this home; move what it"):
        Site.open(home, clock=house.clock)

    (home / name).unlink()
    outside.rename(home / name)
    house.reopen()


def test_a_link_that_leads_nowhere_is_refused(house: House) -> None:
    house.site.close()
    (house.site.home / "certificates").symlink_to("/nowhere/at/all")

    with pytest.raises(UnavailableError, match="certificates is a symbolic link"):
        Site.open(house.site.home, clock=house.clock)


@pytest.mark.parametrize("name", ["volens.db", "keyring.db"])
def test_a_database_behind_a_link_is_refused(house: House, name: str) -> None:
    house.site.close()
    home = house.site.home
    (home / name).rename(home.parent / name)
    (home / name).symlink_to(home.parent / name)

    with pytest.raises(UnavailableError, match=f"{name} is a symbolic link"):
        Site.open(home, clock=house.clock)


def test_a_root_key_that_is_mounted_as_a_link_to_a_file_opens(house: House) -> None:
    house.site.close()
    key = house.site.home / "root.key"
    key.rename(key.parent.parent / "secret")
    key.symlink_to(key.parent.parent / "secret")

    house.reopen()


def test_a_folder_of_another_user_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.withdraw(house.admit())
    house.site.close()
    folder, lstat = house.site.home / "certificates", Path.lstat

    def foreign(path: Path) -> os.stat_result:
        found = lstat(path)
        return os.stat_result([*found[:4], found.st_uid + 1, *found[5:]]) if path == folder else found

    monkeypatch.setattr(Path, "lstat", foreign)
    with pytest.raises(
        UnavailableError, match=r"belongs to another user \(uid \d+\); run: chown -R \d+ .*certificates"
    ):
        Site.open(house.site.home, clock=house.clock)


def test_an_erasure_neither_finishes_nor_writes_behind_a_linked_folder(house: House) -> None:
    house.withdraw(house.admit())
    person = house.admit()
    home = house.site.home
    outside = lead_away(home, "certificates")
    before = listed(outside)

    with pytest.raises(ErasureIncompleteError, match=r"cannot search the whole home: .*then run 'volens erase resume'"):
        house.withdraw(person)

    assert not house.sees(person)
    assert listed(outside) == before
    (home / "certificates").unlink()
    outside.rename(home / "certificates")
    house.reopen()
    assert len(listed(home / "certificates")) == len(before) + 1


def test_a_link_deeper_in_the_home_is_refused_by_the_search(house: House) -> None:
    house.withdraw(house.admit())
    (house.site.home / "certificates" / "older").symlink_to(house.site.home.parent)

    with pytest.raises(ErasureIncompleteError, match="certificates/older is a symbolic link"):
        places.search_places(Needles.of([("secret", b"a secret of sixteen bytes or more")]), house.site.installation)


def test_a_gallery_is_not_stored_behind_a_link(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volens.index.gallery.SNAPSHOT_FROM", 1)
    person = house.admit()
    outside = lead_away(house.site.home, "galleries")
    assert house.sees(person)  # a gallery is stored when it was built
    assert listed(outside) == []

    (house.site.home / "galleries").unlink()
    house.galleries.close()
    assert len(listed(house.site.home / "galleries")) == 1
