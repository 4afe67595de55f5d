"""``databases.json`` (0600) in a home: the URLs of the databases of a site that keeps them on a PostgreSQL server.

A home without this file has its databases in files of its own, with SQLite. A URL with a password is refused
(`volens.store.postgres.database_url`), so the file has none.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from volens.consent import TamperError
from volens.consent.json_reader import read_json
from volens.consent.plain_text import plain_bytes
from volens.store.files.private_files import read_private, write_private

DATABASES_FILE: Final = "databases.json"
_LIMIT_BYTES: Final = 64 * 1024
_VERSION: Final = 1


@final
@dataclass(frozen=True, slots=True, repr=False)
class SiteDatabases:
    """The databases of a site on a server.

    Attributes:
        data: URL of the data database, with its schema.
        keyring: URL of the keyring, which is never in the dump of the data: another database, or another schema.
    """

    data: str
    keyring: str

    def of_line(self, line: str) -> str:
        """Return the URL for a line of the schema, which is data or keyring."""
        return self.keyring if line == "keyring" else self.data


def read_databases(home: Path) -> SiteDatabases | None:
    """Return where the databases of a home are; None if they are files in it.

    Raises:
        UnavailableError: the file cannot be read.
        TamperError: `write_databases` did not write it.
    """
    path = home / DATABASES_FILE
    if not path.exists():
        return None
    try:
        fields = read_json(plain_bytes(read_private(path, _LIMIT_BYTES)))
        version = fields.pop("version")
        found = SiteDatabases(**fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        version = found = None
    if version != _VERSION or found is None or not all(isinstance(one, str) for one in (found.data, found.keyring)):
        raise TamperError(f"integrity: {DATABASES_FILE} does not say where the databases are; restore it")
    return found


def is_on_server(home: Path) -> bool:
    """Return whether the databases of a home are on a server, which are recovered there and not by `volens restore`."""
    return (home / DATABASES_FILE).exists()


def write_databases(home: Path, databases: SiteDatabases) -> None:
    """Write the file atomically."""
    document = {"version": _VERSION, "data": databases.data, "keyring": databases.keyring}
    write_private(home / DATABASES_FILE, f"{json.dumps(document, indent=1)}\n".encode("ascii"), replace=True)
