"""Files named on the command line: reads with a size limit, private writes (0600) that never overwrite."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from volens.audit import VerifierKey
from volens.consent import InputError, UnavailableError
from volens.store.files import read_private, write_private

MAX_TEXT_FILE_BYTES: Final = 1 << 20


def read_file(path: Path, what: str) -> bytes:
    """Read a small file.

    Raises:
        InputError: it is missing, a folder, too large or unreadable.
    """
    if not _checked(path, what).is_file():
        raise InputError(f"there is no {what} {path}; check the path")
    try:
        return read_private(path, MAX_TEXT_FILE_BYTES)
    except UnavailableError as error:
        raise InputError(str(error)) from None


@contextmanager
def lines_of(path: Path, what: str, limit_bytes: int) -> Iterator[Iterator[bytes]]:
    """Yield the lines of a file of any size, each with its newline; a line beyond the limit comes in pieces.

    Raises:
        InputError: it is missing, a folder or unreadable.
    """
    if not _checked(path, what).is_file():
        raise InputError(f"there is no {what} {path}; check the path")
    try:
        with path.open("rb") as file:
            yield iter(partial(file.readline, limit_bytes), b"")
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror}; check the permissions") from None


def read_site_key(path: Path) -> VerifierKey:
    """Read a site's public key.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    try:
        return VerifierKey.parse(read_file(path, "public key").decode("utf-8").strip())
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a public key; pass the site's site.pub") from None


def must_be_new(path: Path | None, what: str) -> None:
    """Refuse, before any work is done, a file that could not be written afterwards; None is accepted.

    Raises:
        InputError: the file exists already, or its folder does not.
    """
    if path is None:
        return
    if os.path.lexists(_checked(path, what)):  # a broken link belongs to its owner, too
        raise InputError(f"{what} {path} exists already; nothing was changed, choose another name")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.absolute().parent} for {what}; create it first")


def hand_out(what: str, secret: str, out: Path | None) -> tuple[dict[str, str], str]:
    """Write a new secret to its file, or return it to be shown once; return its JSON member and its line of text."""
    if out is None:
        return {what: secret}, f"{what}, shown only this once: {secret}"
    write_private(out, secret.encode("ascii") + b"\n")
    return {f"{what}_file": str(out)}, f"{what}: {out}"


def _checked(path: Path, what: str) -> Path:
    try:
        path.exists()
    except OSError as error:
        raise InputError(f"cannot check {what} {path}: {error.strerror}; check the path and the permissions") from None
    return path


__all__ = ["hand_out", "lines_of", "must_be_new", "read_file", "read_site_key", "write_private"]
