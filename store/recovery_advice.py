"""What an operator does about damaged or changed rows, by where the databases are; an engine adds it to the error."""

from collections.abc import Mapping
from typing import Final

from volens.consent.errors import DamagedDataError

RESTORE_IN_PLACE: Final = "volens restore --in-place"
RESTORE: Final = f"run '{RESTORE_IN_PLACE}'"
RECOVER_KEYRING: Final = "recover the keyring on the server to its last commit"
PUT_KEYRING_BACK: Final = "put the newest keyring.db back"

ON_FILES: Final[Mapping[str, str]] = {
    "data": "restore the data file: volens restore",
    "keyring": PUT_KEYRING_BACK,
    "secret": f"{PUT_KEYRING_BACK}, or {RESTORE}, which ends the consents that no key opens",
}
ON_SERVER: Final[Mapping[str, str]] = {
    "data": "stop all nodes, and put these rows back from a replica or a backup of the server (docs/backup.md)",
    "keyring": f"stop all nodes, and {RECOVER_KEYRING}",
    "secret": f"stop all nodes, and {RECOVER_KEYRING}, or {RESTORE}, which ends the consents that no key opens",
}


def advised(error: DamagedDataError, advice: Mapping[str, str]) -> DamagedDataError:
    """Let an error about damaged rows say what to do about them where they are."""
    error.advice = advice[error.part]
    return error
