"""The choice of a storage engine: SQLite. The only module outside `volens.store.sqlite` that may import it."""

from pathlib import Path

from volens.store.engine import StoreEngine
from volens.store.sqlite.database import SqliteEngine
from volens.store.sqlite.database_files import copy_closed, put_in_place

__all__ = ["copy_closed", "open_engine", "put_in_place"]


def open_engine(path: Path, migrations: str, revisions: tuple[str, ...], *, create: bool = False) -> StoreEngine:
    """Open a database, or make it, and migrate it; see `SqliteEngine`.

    Raises:
        UnavailableError: missing, locked, read-only, full, already there, or written by a newer version.
        TamperError: not a database of Volens, or damaged.
    """
    return SqliteEngine(path, migrations, revisions, create=create)
