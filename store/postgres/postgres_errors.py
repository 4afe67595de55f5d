"""Errors of PostgreSQL, translated into `UnavailableError` and `TamperError` with what to do next."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import errors
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from volens.consent import TamperError, UnavailableError
from volens.consent.errors import DamagedDataError
from volens.store.recovery_advice import ON_SERVER, advised

_LOCKED: Final = "is locked by another process; try again when it is done"
_RETRY: Final = "was changed by another transaction at the same time; this step was not done, try again"
_READ_ONLY: Final = "cannot be written, its server is read-only (a standby); give the address of the primary"
_FULL: Final = "could not be written, the disk of its server is full; this step was not done, make room"
_REFUSED: Final = "refuses this role; check the rights with 'volens store roles'"
_NOT_ADMITTED: Final = (
    "does not accept the password, or got none; write it into ~/.pgpass or the file that PGPASSFILE names (mode 0600), "
    "or set PGPASSWORD"
)
_TOO_MANY: Final = "accepts no more connections; raise max_connections of its server"
_ALL_IN_USE: Final = "is used by all connections of this process; this step was not done, try again"
_NO_DATABASE: Final = "does not exist; make it with 'createdb', then run this again"
_URL: Final = "has a URL that cannot be used; check its host, port and options"
_BY_CLASS: Final[tuple[tuple[type[psycopg.Error], type[UnavailableError] | type[TamperError], str], ...]] = (
    (errors.LockNotAvailable, UnavailableError, _LOCKED),
    (errors.SerializationFailure, UnavailableError, _RETRY),
    (errors.DeadlockDetected, UnavailableError, _RETRY),
    (errors.ReadOnlySqlTransaction, UnavailableError, _READ_ONLY),
    (errors.DiskFull, UnavailableError, _FULL),
    (errors.OutOfMemory, UnavailableError, "could not be used, its server has no memory left; this step was not done"),
    (errors.TooManyConnections, UnavailableError, _TOO_MANY),
    (errors.QueryCanceled, UnavailableError, "took too long to answer; this step was not done, try again"),
    (errors.InvalidPassword, UnavailableError, _NOT_ADMITTED),
    (errors.InsufficientPrivilege, UnavailableError, _REFUSED),
    (errors.InvalidCatalogName, UnavailableError, _NO_DATABASE),
    (errors.DataCorrupted, TamperError, "is damaged; restore it from a backup"),
    (errors.IndexCorrupted, TamperError, "is damaged; restore it from a backup"),
    (
        errors.UndefinedTable,
        TamperError,
        "lacks a table of Volens; if the site was moved, the next try says where to, else restore it from a backup",
    ),
    (errors.InvalidSchemaName, TamperError, "lacks the schema of Volens; restore it from a backup"),
)
_REFUSED_CONNECTIONS: Final = (
    # Libpq gives no code for a connection that was not made, only words: the server's are English unless it is set to
    # another language, and then the last sentence of these fits.
    (re.compile("password authentication failed|no password supplied"), _NOT_ADMITTED),
    (re.compile("too many (clients|connections)|remaining connection slots"), _TOO_MANY),
    (re.compile("session is read-only|hot standby mode"), _READ_ONLY),
    (re.compile("SSL|certificate"), "has no encrypted connection as its URL demands; check sslmode and certificates"),
    (re.compile("(translate|resolve) host|invalid (port|connection option|sslmode)|invalid integer value"), _URL),
    (re.compile('FATAL:  database "[^"]*" does not exist'), _NO_DATABASE),
    (re.compile("FATAL:"), "does not let this role in; check the role and the database of its URL, and their rights"),
)
_COMING_UP: Final = re.compile("starting up|shutting down|not yet accepting|in recovery mode")
_LOST: Final = "does not answer or closed the connection; this step was not done, check its server and try again"
_UNREADABLE: Final = "could not be used: its server reports the error {code}; this step was not done"


def is_lost(error: BaseException) -> bool:
    """Return whether an error says that the connection is lost or was not made: another one may work."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)):
        return True
    is_from_libpq = isinstance(original, psycopg.OperationalError) and original.sqlstate is None
    return is_from_libpq and _refused_connection(str(original)) is None


@contextmanager
def translated(name: str) -> Generator[None]:
    """Raise an error of PostgreSQL as one of ours; a broken rule of the schema passes unchanged."""
    try:
        yield
    except DamagedDataError as error:
        raise advised(error, ON_SERVER)  # noqa: B904  it is the same error
    except PoolTimeoutError:
        raise UnavailableError(f"{name} {_ALL_IN_USE}") from None
    except (DBAPIError, psycopg.Error) as error:
        original: Any = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, psycopg.IntegrityError) or not isinstance(original, psycopg.Error):
            raise
        raise meant(name, original) from None


def meant(name: str, original: psycopg.Error) -> UnavailableError | TamperError:
    """Return what an error of the driver means for the database of this name."""
    for kind, ours, what in _BY_CLASS:
        if isinstance(original, kind):
            prefix = "integrity: " if ours is TamperError else ""
            return ours(f"{prefix}{name} {what}")
    if original.sqlstate is None and (refused := _refused_connection(str(original))) is not None:
        return UnavailableError(f"{name} {refused}")
    if is_lost(original):
        return UnavailableError(f"{name} {_LOST}")
    return UnavailableError(f"{name} {_UNREADABLE.format(code=original.sqlstate)}")


def _refused_connection(words: str) -> str | None:
    """Return what the words of libpq mean, if trying again without a change would not help; they are not repeated."""
    if _COMING_UP.search(words):
        return None
    return next((what for known, what in _REFUSED_CONNECTIONS if known.search(words)), None)
