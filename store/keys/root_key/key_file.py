"""Root key holder: a file (mode 0600)."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, TamperError, UnavailableError, from_b64url
from volens.consent.jws import b64url
from volens.store.files.private_files import read_private, sync_folder, write_private
from volens.store.keys.root_key.holder import Slot
from volens.store.keys.secrets import KEY_BYTES, Random, RootKey

_PREFIX: Final = "volens-root-key-1:"
_LIMIT_BYTES: Final = 200


def encode_root_key(key: RootKey) -> str:
    """Return a root key as text."""
    return f"{_PREFIX}{b64url(bytes(key.buffer))}"


def decode_root_key(text: str, where: str) -> RootKey:
    """Read the text of `encode_root_key`.

    Raises:
        TamperError: it is not a root key; the message names `where` it was.
    """
    problem = f"integrity: {where} is no Volens root key; restore it from your copy of the key"
    try:
        raw = from_b64url(text.removeprefix(_PREFIX))
    except InputError:
        raise TamperError(problem) from None
    if not text.startswith(_PREFIX) or len(raw) != KEY_BYTES:
        raise TamperError(problem)
    return RootKey(raw)


def make_root_key_file(path: Path, random: Random, *, replace: bool = False) -> RootKey:
    """Make a new root key and its file (0600).

    Raises:
        InputError: the file already exists; a root key is never overwritten.
        UnavailableError: the disk refuses.
    """
    key = RootKey.generate(random)
    write_private(path, f"{encode_root_key(key)}\n".encode("ascii"), replace=replace)
    return key


def read_root_key_file(path: Path) -> RootKey:
    """Read the root key.

    Raises:
        UnavailableError: the file is missing, unreadable, or readable by others than its owner.
        TamperError: the file is not a root key.
    """
    data = read_private(path, _LIMIT_BYTES)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnavailableError(f"{path.name} can be read by others than its owner; run: chmod 600 {path}")
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    return decode_root_key(text, path.name)


@final
class FileHolder:
    """`RootKeyHolder` over a file. The next key is in a second file in the same folder, ``root.key.next``."""

    def __init__(self, path: Path, url: str, random: Random) -> None:
        self.url = url
        self._random = random
        self._paths = {Slot.CURRENT: path, Slot.NEXT: path.with_name(f"{path.name}.next")}

    def create(self, slot: Slot) -> RootKey:
        """Make a file."""
        return make_root_key_file(self._paths[slot], self._random, replace=slot is Slot.NEXT)

    def open(self, slot: Slot) -> RootKey | None:
        """Read a file."""
        path = self._paths[slot]
        return None if slot is Slot.NEXT and not path.exists() else read_root_key_file(path)

    def succeed(self) -> None:
        """Overwrite the old file in place, then rename the new one over it."""
        path, following = self._paths[Slot.CURRENT], self._paths[Slot.NEXT]
        if not following.exists():
            return
        try:
            with suppress(FileNotFoundError):
                overwrite(path)
            take_place(following, path)
        except OSError as error:
            raise UnavailableError(
                f"cannot replace {path}: {error.strerror}; check the disk and the folder's rights"
            ) from None

    def discard(self) -> None:
        """Overwrite and remove the file."""
        with suppress(OSError):
            overwrite(self._paths[Slot.CURRENT])
            self._paths[Slot.CURRENT].unlink()


def overwrite(path: Path) -> None:
    """Overwrite a file with zeros in place, and sync it to the disk."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())


def take_place(path: Path, of: Path) -> None:
    """Rename a file over another, and sync the folder to the disk."""
    path.replace(of)
    sync_folder(of.parent)
