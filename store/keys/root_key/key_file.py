"""Root key holder: a file (mode 0600)."""

import binascii
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, TamperError, UnavailableError
from volens.store.files.freed_memory import overwrite_freed_bytes
from volens.store.files.private_files import overwrite_file, sync_folder, write_private
from volens.store.files.secret_files import secret_problem
from volens.store.keys.root_key.holder import Slot
from volens.store.keys.secrets import KEY_BYTES, Random, RootKey

_PREFIX: Final = b"volens-root-key-1:"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LIMIT_BYTES: Final = 200
_ENCODED_BYTES: Final = 43
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/", b"+/..")  # "+" and "/" are no base64url, and "." is no base64


def encode_root_key(key: RootKey) -> bytearray:
    """Return a root key as text, which the caller overwrites."""
    text = bytearray(_PREFIX)
    text += binascii.b2a_base64(key.buffer, newline=False).rstrip(b"=").translate(_TO_URL)
    overwrite_freed_bytes(KEY_BYTES)  # base64 of a key has the same size class in Python's memory as the key
    return text


def decode_root_key(text: bytearray, where: str) -> RootKey:
    """Read the text of `encode_root_key`, and overwrite it.

    Raises:
        TamperError: it is not a root key; the message names `where` it was.
    """
    if text.startswith(_BYTE_ORDER_MARK):
        del text[: len(_BYTE_ORDER_MARK)]  # in place: a copy would have to be overwritten as well
    stripped = text.strip()
    body = stripped.removeprefix(_PREFIX).translate(_FROM_URL)
    is_form = stripped.startswith(_PREFIX) and len(body) == _ENCODED_BYTES
    try:
        raw = binascii.a2b_base64(body + b"=", strict_mode=True) if is_form else b""
        if len(raw) == KEY_BYTES and binascii.b2a_base64(raw, newline=False)[:-1] == body:
            return RootKey(raw)
    except binascii.Error:
        pass
    finally:
        raw = b""
        for one in (text, stripped, body):
            one[:] = bytes(len(one))
        overwrite_freed_bytes(KEY_BYTES)
    raise TamperError(f"integrity: {where} is no Volens root key; restore it from your copy of the key")


def make_root_key_file(path: Path, random: Random, *, replace: bool = False) -> RootKey:
    """Make a new root key and its file (0600).

    Raises:
        InputError: the file already exists; a root key is never overwritten.
        UnavailableError: the disk refuses.
    """
    key = RootKey.generate(random)
    text = encode_root_key(key) + b"\n"
    write_private(path, text, replace=replace)
    text[:] = bytes(len(text))
    return key


def read_root_key_file(path: Path) -> RootKey:
    """Read the root key.

    Raises:
        UnavailableError: the file is missing, unreadable, or others can read it (`secret_problem`).
        TamperError: the file is not a root key.
    """
    text = bytearray(_LIMIT_BYTES + 1)
    try:
        with path.open("rb", buffering=0) as file:  # a buffer would keep a copy
            size_bytes = file.readinto(text) or 0
            problem = secret_problem(path, os.fstat(file.fileno()), "root key")
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}; check the name and the file's rights") from None
    if problem is not None:
        text[:] = bytes(len(text))
        raise UnavailableError(problem)
    if size_bytes > _LIMIT_BYTES:
        raise InputError(f"got {path} of more than {_LIMIT_BYTES} bytes; expected a smaller file")
    del text[size_bytes:]
    return decode_root_key(text, path.name)


@final
class FileHolder:
    """`RootKeyHolder` over a file. The next key is in a second file in the same folder, ``root.key.next``."""

    copies: Final = "backups and other copies of the key file, and blocks that the disk has set aside"

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
                overwrite_file(path)
            take_place(following, path)
        except OSError as error:
            raise UnavailableError(
                f"cannot replace {path}: {error.strerror}; check the disk and the folder's rights"
            ) from None

    def discard(self) -> None:
        """Overwrite and remove the file."""
        with suppress(OSError):
            overwrite_file(self._paths[Slot.CURRENT])
            self._paths[Slot.CURRENT].unlink()


def take_place(path: Path, of: Path) -> None:
    """Rename a file over another, and sync the folder to the disk."""
    path.replace(of)
    sync_folder(of.parent)
