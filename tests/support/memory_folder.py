"""The folder in memory where tests make files: waiting for the disk at each commit would take most of their time.

SIGKILL, unlike a power cut, takes nothing from it.
"""

import os
import shutil
from pathlib import Path

_MEMORY, _NEEDED_BYTES = Path("/dev/shm"), 2 << 30  # noqa: S108  folders in it are private to their makers


def memory_folder() -> Path | None:
    """Return it; None if there is none, or not enough room in it."""
    is_usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    return _MEMORY if is_usable and shutil.disk_usage(_MEMORY).free > _NEEDED_BYTES else None
