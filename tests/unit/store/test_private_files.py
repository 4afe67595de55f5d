"""Private files: written where there are no hard links, and overwritten in place before they are removed."""

import errno
import os
from pathlib import Path

import pytest

from volens.consent import InputError, UnavailableError
from volens.store.files import erase_file, overwrite_file, write_private


def test_a_file_is_overwritten_in_place_before_it_is_removed(tmp_path: Path) -> None:
    path, link = tmp_path / "ada.key", tmp_path / "same inode"
    path.write_bytes(b"secret" * 1000)
    os.link(path, link)  # what is left of the file can be read here
    erase_file(path)
    assert not path.exists()
    assert link.read_bytes() == bytes(6000)


def test_overwriting_keeps_the_size(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(b"x" * 77)
    overwrite_file(path)
    assert path.read_bytes() == bytes(77)


def test_a_file_that_cannot_be_removed_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"cannot remove .*gone.*; remove it by hand"):
        erase_file(tmp_path / "gone")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_stick_without_hard_links_gets_the_file_and_none_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    write_private(tmp_path / "ada.key", b"secret")
    with pytest.raises(InputError, match="already there"):
        write_private(tmp_path / "ada.key", b"another")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("ada.key", b"secret")]
    assert (tmp_path / "ada.key").stat().st_mode & 0o777 == 0o600
