"""Small files: read with a size limit, as bytes or as text. Every text file that a person names is read here."""

import stat
from pathlib import Path
from typing import Final

from volens.consent import InputError
from volens.consent.plain_text import plain_bytes, plain_text

MAX_TEXT_BYTES: Final = 2**20
_CHECK_PATH: Final = "check the path"


def read_small_file(path: Path, what: str, limit_bytes: int = MAX_TEXT_BYTES, advice: str = _CHECK_PATH) -> bytes:
    """Read a file of at most `limit_bytes`, unchanged; `what` and `advice` are for the error.

    Raises:
        InputError: it is missing, no regular file, too large or unreadable.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            # Reading a pipe or a device could block or never end.
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise InputError(f"{path} is {kind}; expected the {what}; {advice}")
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except FileNotFoundError:
        raise InputError(f"there is no {what} {path}; {advice}") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"cannot read {what} {path}: {reason}; check the path and the permissions") from None
    except ValueError:  # a NUL in the path
        raise InputError(f"got a {what} whose path is none; {advice}") from None
    if len(data) > limit_bytes:
        raise InputError(
            f"{path} has more than {limit_bytes} bytes{_named_kind(data, ', and is ')}; expected a {what}; {advice}"
        )
    return data


def read_text_file(path: Path, what: str, limit_bytes: int = MAX_TEXT_BYTES, advice: str = _CHECK_PATH) -> bytes:
    """Read a small text file: UTF-8, without its byte order mark, lines that end with LF; see `read_small_file`.

    Raises:
        InputError: it cannot be read, or is not text in UTF-8. The message names a picture or a document.
    """
    data = read_small_file(path, what, limit_bytes, advice)
    try:
        plain_text(data, f"the {what} {path}")
    except InputError:
        if kind := _named_kind(data, ""):
            raise InputError(f"{path} is {kind}; expected the {what}; {advice}") from None
        raise
    return plain_bytes(data)


def _named_kind(data: bytes, before: str) -> str:
    from volens.face.file_kinds import binary_kind  # noqa: PLC0415  loads NumPy and Pillow, for an error only

    kind = binary_kind(data)
    return "" if kind is None else before + kind
