"""Durable copies of files: synced (fsync), and readable by their owner only (mode 0600)."""

import os
import stat
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final

from volens.consent import UnavailableError

_CHUNK_BYTES: Final = 1 << 20


def copy_private(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file into a new, synced file with mode 0600; return its size and SHA-256 in hex.

    Raises:
        UnavailableError: the source cannot be read, the target already exists, or the disk refuses.
    """
    digest, size_bytes = sha256(), 0
    try:
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "wb") as copy, source.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError as error:
        raise UnavailableError(
            f"cannot copy {source.name} into {target.parent}: {error.strerror}; check the disk and the rights"
        ) from None
    return size_bytes, digest.hexdigest()


def sync_file(path: Path) -> tuple[int, str]:
    """Sync a file to the disk (fsync); return its size and SHA-256 in hex.

    Raises:
        UnavailableError: the disk refuses.
    """
    try:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            digest = file_digest(file, "sha256")
            return file.tell(), digest.hexdigest()
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}; check the disk and the rights") from None
