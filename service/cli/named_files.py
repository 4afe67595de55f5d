"""Files named on the command line: reads with a size limit, and writes that never overwrite."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self, final

from volens.audit import VerifierKey
from volens.audit.cosignature import WitnessKey
from volens.consent import InputError
from volens.consent.plain_text import escaped, plain_bytes, plain_text
from volens.store.files import read_text_file, write_private, write_public


def read_file(path: Path, what: str, advice: str = "check the path") -> bytes:
    """Read a small text file; see `volens.store.files.read_text_file`, which raises the same errors."""
    return read_text_file(path, what, advice=advice)


def read_stdin_line(limit: int, what: str) -> str:
    """Read a line of at most `limit` characters from standard input, as text without a byte order mark.

    Raises:
        InputError: it is not text in UTF-8.
    """
    source = getattr(sys.stdin, "buffer", None)
    return plain_text(sys.stdin.readline(limit).encode() if source is None else source.readline(limit), what)


@contextmanager
def lines_of(path: Path, what: str, limit_bytes: int) -> Iterator[Iterator[bytes]]:
    """Yield the lines of a text file of any size, each with its newline (LF); a line beyond the limit comes in pieces.

    Raises:
        InputError: it is missing, a folder or unreadable.
    """
    if not _checked(path, what).is_file():
        raise InputError(f"there is no {what} {path}; check the path")
    try:
        with path.open("rb") as file:
            # The mark of the first line only: a line of the file that begins with one is damaged.
            first = plain_bytes(file.readline(limit_bytes))
            yield chain([first] if first else [], iter(partial(_plain_line, file, limit_bytes), b""))
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror}; check the permissions") from None


def read_site_key(path: Path) -> VerifierKey:
    """Read a site's public key.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    return VerifierKey.parse(read_file(path, "public key", "pass the site's site.pub").decode("utf-8").strip())


@final
class Quorum(NamedTuple):
    """The verifier keys of the witnesses that a reader trusts, and how many of them must have cosigned."""

    keys: list[WitnessKey]
    needed: int

    @classmethod
    def of(cls, paths: Sequence[Path] | None, needed: int | None) -> Self | None:
        """Read the keys, one in each file; by default all are needed. None if no witness is named.

        Raises:
            InputError: there is no such file, it holds something else, or a number is given without witnesses.
        """
        if not paths:
            if needed is not None:
                raise InputError(
                    "got --quorum without --witness; pass the verifier keys of the witnesses that you trust"
                )
            return None
        advice = "pass the file that the witness's operator gave you"
        keys = [WitnessKey.parse(read_file(path, "witness's key", advice).decode("utf-8")) for path in paths]
        return cls(keys, len(keys) if needed is None else needed)


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
    return {f"{what}_file": str(out)}, f"{what}: {escaped(out)}"


def _plain_line(file: BinaryIO, limit_bytes: int) -> bytes:
    line = file.readline(limit_bytes)
    return line[:-2] + b"\n" if line.endswith(b"\r\n") else line


def _checked(path: Path, what: str) -> Path:
    try:
        path.exists()
    except OSError as error:
        raise InputError(f"cannot check {what} {path}: {error.strerror}; check the path and the permissions") from None
    return path


__all__ = [
    "Quorum",
    "hand_out",
    "lines_of",
    "must_be_new",
    "read_file",
    "read_site_key",
    "read_stdin_line",
    "write_private",
    "write_public",
]
