"""The root key in a file: what unlocks the keyring, kept apart from everything that it unlocks."""

import stat
from pathlib import Path
from typing import Final

from consent import InputError, TamperError, UnavailableError
from consent.jws import b64url, from_b64url
from store.private_files import read_private, write_private
from store.secrets import KEY_BYTES, Random, RootKey

_PREFIX: Final = "volens-root-key-1:"
_LIMIT_BYTES: Final = 200


def make_root_key_file(path: Path, random: Random) -> RootKey:
    """Make a new root key and its file (0600).

    Raises:
        InputError: the file is already there; a root key is never overwritten.
        UnavailableError: the disk refuses.
    """
    key = RootKey.generate(random)
    write_private(path, f"{_PREFIX}{b64url(bytes(key.buffer))}\n".encode("ascii"))
    return key


def read_root_key_file(path: Path) -> RootKey:
    """Read the root key.

    Raises:
        UnavailableError: the file is missing, unreadable, or open to others than its owner.
        TamperError: the file is no root key.
    """
    data = read_private(path, _LIMIT_BYTES)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnavailableError(f"{path.name} can be read by others than its owner; run: chmod 600 {path}")
    problem = f"integrity: {path.name} is no Volens root key; restore it from where the key is kept"
    try:
        text = data.decode("ascii").strip()
        raw = from_b64url(text.removeprefix(_PREFIX))
    except (UnicodeDecodeError, InputError):
        raise TamperError(problem) from None
    if not text.startswith(_PREFIX) or len(raw) != KEY_BYTES:
        raise TamperError(problem)
    return RootKey(raw)
