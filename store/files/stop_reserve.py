"""Disk space reserved for stops: a file of random bytes that is deleted when the disk is full.

The withdrawal of one person writes 0.3 MB: SQLite appends its pages to the write-ahead logs of both databases, and keys
and certificates are files of their own. Free pages inside the data file would not help, because a page reaches the log
first (docs/adr/0043). The bytes are random, because some file systems store a file of zeros in no space.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, final

RESERVE_FILE: Final = "stops.reserve"
RESERVE_BYTES: Final = 1 << 19
"""Nearly twice what the withdrawal of one person wrote at most, measured at sites of 2 to 1,500 people. An erasure
searches this file as every other one, which takes 5 ms."""

ROOM_BYTES: Final = 4 * RESERVE_BYTES
"""How much must be free for the file to be made: it must not be what fills the disk."""


@final
class StopReserve:
    """The reserve of one home. Other processes of the site may use it at the same time.

    Not checked: quotas of a user, which `statvfs` does not show.
    """

    def __init__(self, home: Path) -> None:
        """Make nothing yet."""
        self.path = home / RESERVE_FILE
        self._home = home

    def is_kept(self) -> bool:
        """Return whether the file is here, whole."""
        try:
            return self.path.stat().st_size == RESERVE_BYTES
        except OSError:
            return False

    def is_disk_full(self) -> bool:
        """Return whether less than the size of the reserve is free beside it."""
        return self._free_bytes() < RESERVE_BYTES

    def keep(self) -> bool:
        """Make the file if it is missing and `ROOM_BYTES` are free; return whether it is here now."""
        if self.is_kept():
            return True
        if self._free_bytes() < ROOM_BYTES:
            return False
        try:
            self.path.unlink(missing_ok=True)  # cut off by a kill or a full disk
            with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(os.urandom(RESERVE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            return False
        return True

    def release(self) -> bool:
        """Delete the file if the disk is full; return whether that made room."""
        if not (self.is_disk_full() and self.is_kept()):
            return False
        try:
            self.path.unlink()
        except OSError:
            return False
        return True

    def _free_bytes(self) -> int:
        try:
            found = os.statvfs(self._home)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize
