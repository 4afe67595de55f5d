"""Files that a person names on the command line: bounded reads, private writes that overwrite nothing."""

import os
from pathlib import Path
from typing import Final

from volens.consent import InputError, UnavailableError
from volens.store.files import read_private, write_private

MAX_TEXT_FILE_BYTES: Final = 1 << 20


def read_file(path: Path, what: str) -> bytes:
    """Read a small file.

    Raises:
        InputError: it is missing, a folder, too large or unreadable.
    """
    if not _seen(path, what).is_file():
        raise InputError(f"there is no {what} {path}; check the path")
    try:
        return read_private(path, MAX_TEXT_FILE_BYTES)
    except UnavailableError as error:
        raise InputError(str(error)) from None


def must_be_new(path: Path, what: str) -> None:
    """Refuse, before anything is done, a file that could not be written afterwards.

    Raises:
        InputError: it is there already, or its folder is not.
    """
    if os.path.lexists(_seen(path, what)):  # a link that leads nowhere is somebody's too
        raise InputError(f"{what} {path} is already there; nothing was changed, choose another name")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.absolute().parent} for {what}; make it first")


def _seen(path: Path, what: str) -> Path:
    try:
        path.exists()
    except OSError as error:
        raise InputError(f"cannot look at {what} {path}: {error.strerror}; check the path and the rights") from None
    return path


__all__ = ["must_be_new", "read_file", "write_private"]
