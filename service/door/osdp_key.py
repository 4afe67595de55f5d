"""OSDP key: the secure channel base key (SCBK) that one device and one panel share, and its file.

The key of install mode (SCBK-D) is printed in the standard. It is refused as a key.
"""

import hmac
import os
import re
from pathlib import Path
from typing import Final, Self, final

from volens.consent import InputError
from volens.consent.in_process import WipedBuffer
from volens.store.files import read_secret, write_private

KEY_BYTES: Final = 16
_MAX_FILE_BYTES: Final = 256
_INSTALL_MODE_KEY: Final = bytes(range(0x30, 0x40))
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}")


@final
class OsdpKey(WipedBuffer):
    """16 secret bytes. Use it as a context manager, or call `wipe`.

    Not reached by `wipe`: the copies of `libosdp`, which keeps the key as long as the door runs.
    """

    __slots__ = ()

    @classmethod
    def generate(cls) -> Self:
        """Make a new key."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a key file: 32 hexadecimal digits, readable by its owner only (0600).

        Raises:
            InputError: the file holds something else, or other users can read it.
            UnavailableError: it cannot be read.
        """
        text = read_secret(path, "OSDP key", _MAX_FILE_BYTES)
        if not _HEX.fullmatch(text):
            raise InputError(
                f"got {path}, which is no OSDP key; expected 32 hexadecimal digits; make one with 'volens door pair'"
            )
        key = cls(bytes.fromhex(text))
        key.refuse_if_public()
        return key

    def refuse_if_public(self) -> None:
        """Refuse the key of install mode.

        Raises:
            InputError: this is it.
        """
        if hmac.compare_digest(self.buffer, _INSTALL_MODE_KEY):
            raise InputError("got OSDP's key of install mode, which is public; make one with 'volens door pair'")

    def write(self, path: Path, *, replace: bool = False) -> None:
        """Write the key file (0600), atomically.

        Raises:
            InputError: it exists, and `replace` is false; or this is the key of install mode.
            UnavailableError: the disk refuses.
        """
        self.refuse_if_public()
        write_private(path, self.buffer.hex().encode("ascii") + b"\n", replace=replace)
