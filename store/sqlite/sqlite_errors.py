"""Errors of SQLite, translated into `UnavailableError` and `TamperError` with what to do next."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import DatabaseError, DBAPIError

from volens.consent import TamperError, UnavailableError
from volens.consent.errors import DamagedDataError
from volens.store.recovery_advice import ON_FILES, advised

_LOCKED: Final = "is locked by another process; try again when it is done"
_CANNOT_OPEN: Final = "cannot be opened; check the folder and its rights"
_BY_CODE: Final[dict[int, tuple[type[UnavailableError] | type[TamperError], str]]] = {
    sqlite3.SQLITE_BUSY: (UnavailableError, _LOCKED),
    sqlite3.SQLITE_LOCKED: (UnavailableError, _LOCKED),
    sqlite3.SQLITE_FULL: (
        UnavailableError,
        "could not be written, the disk is full; this step was not done, make room",
    ),
    sqlite3.SQLITE_IOERR: (UnavailableError, "could not be read or written; this step was not done, check the disk"),
    sqlite3.SQLITE_READONLY: (UnavailableError, "cannot be written; make the file and its folder writable"),
    sqlite3.SQLITE_CANTOPEN: (UnavailableError, _CANNOT_OPEN),
    sqlite3.SQLITE_PERM: (UnavailableError, _CANNOT_OPEN),
    sqlite3.SQLITE_NOTADB: (TamperError, "is not a database; restore it from a backup"),
    sqlite3.SQLITE_CORRUPT: (TamperError, "is damaged; restore it from a backup"),
}


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Raise an error of SQLite as one of ours; a broken rule of the schema passes unchanged."""
    try:
        yield
    except DamagedDataError as error:
        raise advised(error, ON_FILES)  # noqa: B904  it is the same error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        original: Any = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(original, "sqlite_errorcode", None)
        found = _BY_CODE.get(code & 0xFF) if isinstance(code, int) else None
        if str(original).startswith("Could not decode to UTF-8"):  # from the sqlite3 module, which sets no code
            found = _BY_CODE[sqlite3.SQLITE_CORRUPT]
        if found is None:
            raise
        kind, what = found
        prefix = "integrity: " if kind is TamperError else ""
        raise kind(f"{prefix}{path.name} {what}") from None
