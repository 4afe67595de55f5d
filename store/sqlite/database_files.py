"""The files of an SQLite database: the file itself, and the write-ahead log that a killed process may leave."""

import os
import stat
from pathlib import Path
from typing import Final

from volens.consent import UnavailableError
from volens.store.files.durable_copy import copy_private, sync_file
from volens.store.files.private_files import sync_folder

_LOG: Final = "-wal"
COMPANIONS: Final = (_LOG, "-shm", "-journal")
"""What SQLite appends to the name of a database for its other files."""


def create_private(path: Path) -> None:
    """Make an empty file that only its owner may use (0600).

    Raises:
        UnavailableError: it is already there, or the disk refuses.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IRUSR | stat.S_IWUSR))
    except FileExistsError:
        raise UnavailableError(f"{path} is already there; nothing was changed") from None
    except OSError as error:
        raise UnavailableError(
            f"cannot make {path}: {error.strerror}; check the disk and the folder's rights"
        ) from None


def existing_files(path: Path) -> list[Path]:
    """Return the files of a database, as far as they exist."""
    return [one for suffix in ("", *COMPANIONS) if (one := Path(f"{path}{suffix}")).exists()]


def copy_closed(source: Path, into: Path, name: str) -> None:
    """Copy a database that no process has open, with the write-ahead log that a killed process may have left.

    Raises:
        UnavailableError: a file cannot be read, is already there, or the disk refuses.
    """
    copy_private(source, into / name)
    log = Path(f"{source}{_LOG}")
    if log.is_file():
        copy_private(log, into / f"{name}{_LOG}")


def put_in_place(draft: Path, target: Path) -> None:
    """Put a closed database in the place of another, durably.

    The write-ahead log of the old database is removed first: SQLite would apply it to the new one. A crash in between
    leaves at worst an older database without its log.

    Raises:
        UnavailableError: a process still has the draft open, or the disk refuses.
    """
    try:
        if (log := Path(f"{draft}{_LOG}")).exists() and log.stat().st_size:
            raise UnavailableError(f"{draft.name} is still in use; end the other process, then restore again")
        sync_file(draft)
        for suffix in COMPANIONS:
            Path(f"{target}{suffix}").unlink(missing_ok=True)
        draft.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise UnavailableError(
            f"cannot put {target.name} in its place: {error.strerror}; check the disk and the rights"
        ) from None
