"""What an unfinished copy, or a site that was moved away, left in a file: read without opening it, and removed."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from volens.store.signpost import MOVED
from volens.store.sqlite.database_files import existing_files
from volens.store.sqlite.sqlite_errors import translated

_OWNER: Final = {"data": "site", "keyring": "keyring"}
_IS_THERE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"


def left_in_file(path: Path, line: str) -> tuple[str, str] | None:
    """Return revision and site of the database in a file; None if there is no file, or no table in it.

    Raises:
        UnavailableError: the file cannot be read.
        TamperError: it is not a database of Volens.
    """
    if not path.exists():
        return None
    with _connected(path) as connection:
        if connection.execute(_IS_THERE).fetchone() is None:
            return None
        ((revision,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        table = "signpost" if revision == MOVED else _OWNER[line]
        ((site_id,),) = connection.execute(f"SELECT site_id FROM {table}").fetchall()  # noqa: S608  names of our own
        return str(revision), str(site_id)


def remove_file(path: Path) -> None:
    """Remove a database with what is kept next to it."""
    for one in reversed(existing_files(path)):
        one.unlink(missing_ok=True)


def scrub_moved(path: Path) -> bool:
    """Zero and cut off what the tables of a moved site left in its file; False if another process still reads it."""
    with _connected(path) as connection:
        for pragma in ("secure_delete = ON", "wal_checkpoint(TRUNCATE)"):
            busy = connection.execute(f"PRAGMA {pragma}").fetchone()
        if busy is not None and busy[0]:
            return False
        connection.execute("VACUUM")
        return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


@contextmanager
def _connected(path: Path) -> Generator[sqlite3.Connection]:
    with translated(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection
