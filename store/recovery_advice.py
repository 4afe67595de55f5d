"""What an operator does about damaged or changed rows, by where the databases are; an engine adds it to the error."""

from collections.abc import Mapping
from typing import Final

from volens.consent.errors import DamagedDataError

RESTORE_IN_PLACE: Final = "volens restore --in-place"
RESTORE: Final = f"run '{RESTORE_IN_PLACE}'"
_RECOVERED: Final = (
    "on the server, to the last commit (a replica, or point-in-time recovery); {older} from before cannot be used"
)
RECOVER: Final = f"stop all nodes, and recover the data {_RECOVERED.format(older='a dump')}"
RECOVER_KEYRING: Final = f"stop all nodes, and recover the keyring {_RECOVERED.format(older='a dump')}"
RECOVER_BOTH: Final = f"stop all nodes, and recover data and keyring {_RECOVERED.format(older='dumps')}"

ON_FILES: Final[Mapping[str, str]] = {
    "data": "restore the data file: volens restore",
    "keyring": "put the newest keyring.db back",
    "secret": f"put the newest keyring.db back, or {RESTORE}, which ends the consents that no key opens",
}
ON_SERVER: Final[Mapping[str, str]] = {
    "data": "stop all nodes, and put these rows back from a replica or a backup of the server (docs/backup.md)",
    "keyring": RECOVER_KEYRING,
    "secret": RECOVER_KEYRING,
}


def advised(error: DamagedDataError, advice: Mapping[str, str]) -> DamagedDataError:
    """Let an error about damaged rows say what to do about them where they are."""
    error.advice = advice[error.part]
    return error
