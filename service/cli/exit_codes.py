"""Exit codes of all commands, in one table that scripts may rely on."""

from enum import IntEnum

from volens.consent import (
    EnrollmentError,
    ErasureIncompleteError,
    InputError,
    RefusedError,
    TamperError,
    UnavailableError,
    VolensError,
)
from volens.consent.errors import WrongKeyError


class ExitCode(IntEnum):
    """The exit code of a command; the README has the same table."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NO_MATCH = 3
    INTEGRITY = 4
    ERASURE_INCOMPLETE = 5
    UNAVAILABLE = 6
    WRONG_KEY = 7
    INTERNAL = 70


_CODES: tuple[tuple[type[VolensError], ExitCode], ...] = (
    (InputError, ExitCode.USAGE),
    (RefusedError, ExitCode.REFUSED),
    (EnrollmentError, ExitCode.REFUSED),
    (WrongKeyError, ExitCode.WRONG_KEY),  # before the error that it is a kind of
    (TamperError, ExitCode.INTEGRITY),
    (ErasureIncompleteError, ExitCode.ERASURE_INCOMPLETE),
    (UnavailableError, ExitCode.UNAVAILABLE),
)


def code_of(error: VolensError) -> ExitCode:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.INTERNAL)
