"""The readers of small files: text, secrets, and which of them other people may read."""

import os
from pathlib import Path

import pytest

from volens.consent import InputError
from volens.store.files import read_text_file, secret_problem, write_private, write_public, write_public_files


def secret(path: Path, mode: int) -> Path:
    path.write_text("hush\n")
    path.chmod(mode)
    return path


def problem(path: Path, **where: object) -> str | None:
    return secret_problem(path, path.stat(), "token", **{"environment": {}, "folders": ()} | where)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no key .*; check the path"),
        (b"x" * 101, "has more than 100 bytes; expected a key"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "is a JPEG image; expected the key"),
        (b"%PDF-1.7\n\xe2\xe3", "is a PDF document; expected the key"),
        (b"PK\x03\x04\xff\xff word/document.xml", "is a Word document"),
        ("key".encode("utf-16"), "is in UTF-16; expected UTF-8"),
        (b"\x80\x81", "is not text in UTF-8"),
    ],
)
def test_a_file_that_is_no_text_gives_one_clear_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_text_file(path, "key", 100)
    assert "\n" not in str(caught.value)


def test_folders_and_pipes_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a folder; expected the key"):
        read_text_file(tmp_path, "key")
    with pytest.raises(InputError, match="is not a regular file; expected the key"):
        read_text_file(tmp_path / "pipe", "key")
    with pytest.raises(InputError, match="path is none"):
        read_text_file(Path("a\0b"), "key")


def test_a_text_file_is_returned_without_its_mark_and_with_plain_line_ends(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert read_text_file(tmp_path / "file", "list") == b"one\ntwo\n"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_secret_that_only_its_owner_can_read_is_accepted(tmp_path: Path, mode: int) -> None:
    assert problem(secret(tmp_path / "token", mode)) is None


@pytest.mark.parametrize(
    ("mode", "who"), [(0o640, "its group"), (0o440, "its group"), (0o644, "other users"), (0o604, "other users")]
)
def test_a_secret_that_others_can_read_is_refused_with_its_path_quoted(tmp_path: Path, mode: int, who: str) -> None:
    folder = tmp_path / "my secrets"
    folder.mkdir()
    found = problem(secret(folder / "token", mode))
    assert found is not None
    assert found.startswith(
        f"{who} can read the token in {folder / 'token'} (mode {mode:04o}, owner uid {os.geteuid()})"
    )
    assert f"run: chmod 600 '{folder / 'token'}'" in found


@pytest.mark.parametrize("mode", [0o440, 0o400, 0o444, 0o600, 0o640])
@pytest.mark.parametrize("by", ["systemd", "container"])
def test_a_secret_is_accepted_as_a_manager_lays_it(tmp_path: Path, mode: int, by: str) -> None:
    path = secret(tmp_path / "token", mode)
    if by == "systemd":
        assert problem(path, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None
    else:
        assert problem(path, folders=(tmp_path,)) is None


def test_a_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    inside, outside = tmp_path / "run", tmp_path / "etc"
    inside.mkdir()
    outside.mkdir()
    secret(inside / "token", 0o444)
    secret(outside / "token", 0o444)
    (outside / "link").symlink_to(inside / "token")
    (inside / "link").symlink_to(outside / "token")
    assert problem(outside / "link", folders=(inside,)) is None
    assert "other users can read" in (problem(inside / "link", folders=(inside,)) or "")


@pytest.mark.parametrize("mode", [0o460, 0o662, 0o666])
def test_a_managers_secret_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    found = problem(secret(tmp_path / "token", mode), folders=(tmp_path,))
    assert found is not None
    assert "other users can write the token" in found
    assert "read-only" in found


def test_a_managers_secret_of_another_user_is_refused(tmp_path: Path) -> None:
    path = secret(tmp_path / "token", 0o444)
    owner = os.stat_result([*path.stat()[:4], os.geteuid() + 4711, *path.stat()[5:]])
    found = secret_problem(path, owner, "token", environment={}, folders=(tmp_path,))
    assert found is not None
    assert "belongs to another user" in found


def test_public_files_can_be_read_by_all_and_private_ones_by_none(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write_public(tmp_path / "site.pub", b"key")
        write_private(tmp_path / "site.key", b"key")
        write_public_files(tmp_path, {"one.json": b"1", "two.json": b"2"})
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"site.pub": 0o644, "site.key": 0o600, "one.json": 0o644, "two.json": 0o644}
