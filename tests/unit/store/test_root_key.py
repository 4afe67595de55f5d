"""The file of the root key and other private files: mode 0600, written atomically, never overwritten."""

import os
import random
import stat
from pathlib import Path

import pytest

from volens.consent import InputError, TamperError, UnavailableError, VolensError
from volens.store.files import read_private, write_private
from volens.store.keys.root_key import make_root_key_file, read_root_key_file

seeded = random.Random(3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "root.key"
    make_root_key_file(path, seeded.randbytes).wipe()
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_root_key_is_read_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "root.key"

    key = make_root_key_file(path, seeded.randbytes)

    assert read_root_key_file(path) == key
    assert path.read_text().startswith("volens-root-key-1:")
    assert any(key.buffer)


def test_the_root_key_file_has_mode_0600_with_any_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        make_root_key_file(tmp_path / "root.key", seeded.randbytes)
    finally:
        os.umask(old)
    assert mode(tmp_path / "root.key") == 0o600


def test_a_root_key_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()

    with pytest.raises(InputError, match=r"root.key is already there; nothing was changed"):
        make_root_key_file(path, seeded.randbytes)

    assert path.read_bytes() == before
    assert names(path.parent) == ["root.key"]


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
def test_a_root_key_readable_by_others_is_refused_with_the_remedy(path: Path, bits: int) -> None:
    path.chmod(bits)

    with pytest.raises(UnavailableError, match=f"can read the root key in .*mode {bits:04o}.*run: chmod 600"):
        read_root_key_file(path)


def test_a_missing_root_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"cannot read .*root.key: No such file or directory"):
        read_root_key_file(tmp_path / "root.key")


PREFIX = b"volens-root-key-1:"
GARBAGE: dict[str, tuple[bytes, type[VolensError], str]] = {
    "empty": (b"", TamperError, "integrity: root.key is no Volens root key"),
    "nothing behind the prefix": (PREFIX, TamperError, "integrity: root.key is no Volens root key"),
    "another prefix": (b"volens-root-key-2:" + b"A" * 43, TamperError, "integrity: root.key is no Volens root key"),
    "no prefix": (b"A" * 43, TamperError, "integrity: root.key is no Volens root key"),
    "too short": (PREFIX + b"A" * 42, TamperError, "integrity: root.key is no Volens root key"),
    "too long": (PREFIX + b"A" * 44, TamperError, "integrity: root.key is no Volens root key"),
    "not base64url": (PREFIX + b"!" * 43, TamperError, "integrity: root.key is no Volens root key"),
    "not canonical": (PREFIX + b"A" * 42 + b"B", TamperError, "integrity: root.key is no Volens root key"),
    "not text": (b"\xff" * 61, TamperError, "integrity: root.key is no Volens root key"),
    "a large file": (b"A" * 10_000, InputError, "of more than 200 bytes; expected a smaller file"),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_a_file_without_a_root_key_is_refused_without_quoting_it(path: Path, case: str) -> None:
    content, kind, words = GARBAGE[case]
    path.write_bytes(content)

    with pytest.raises(kind, match=words) as caught:
        read_root_key_file(path)

    assert type(caught.value) is kind
    assert "AAAA" not in str(caught.value)


def test_a_private_file_is_written_atomically_with_mode_0600(tmp_path: Path) -> None:
    write_private(tmp_path / "some.json", b"content")

    assert read_private(tmp_path / "some.json", 7) == b"content"
    assert mode(tmp_path / "some.json") == 0o600
    assert names(tmp_path) == ["some.json"]


def test_a_private_file_is_replaced_only_on_request_and_then_has_mode_0600(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(b"old")
    path.chmod(0o644)

    with pytest.raises(InputError, match="is already there; nothing was changed, choose another name"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    write_private(path, b"new", replace=True)

    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert names(tmp_path) == ["some.json"]


def test_a_private_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"old")
    (tmp_path / "link").symlink_to(target)

    with pytest.raises(InputError, match="is already there"):
        write_private(tmp_path / "link", b"new")
    write_private(tmp_path / "link", b"new", replace=True)

    assert target.read_bytes() == b"old"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("step", ["fsync", "link"])
@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(28, "No space left on device"), UnavailableError, r"cannot write .*: No space left on device"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
    ],
)
def test_a_private_file_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: BaseException,
    kind: type[BaseException],
    words: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(kind, match=words):
        write_private(tmp_path / "some.json", b"content")

    assert names(tmp_path) == []


def test_a_replacement_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UnavailableError, match="No space left on device"):
        write_private(path, b"new", replace=True)

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["some.json"]


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"cannot write .*: No such file or directory"):
        write_private(tmp_path / "nowhere" / "some.json", b"content")


def test_a_draft_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".some.json.{os.getpid()}.tmp").write_bytes(b"half")

    write_private(tmp_path / "some.json", b"content")

    assert (tmp_path / "some.json").read_bytes() == b"content"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(11))

    assert read_private(tmp_path / "large", 11) == bytes(11)
    with pytest.raises(InputError, match="of more than 10 bytes; expected a smaller file"):
        read_private(tmp_path / "large", 10)
