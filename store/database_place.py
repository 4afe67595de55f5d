"""The place of one database of a site: a file in a home, or a schema of a server. Copies are made and finished there.

Like `volens.store.engine_choice`, it may import the engines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, final

from sqlalchemy import URL, Connection

from volens.store.engine import StoreEngine
from volens.store.engine_choice import server_url
from volens.store.schema.schema_lines import REVISIONS
from volens.store.signpost import DRAFT, set_revision
from volens.store.site_databases import SiteDatabases
from volens.store.sqlite.database import SqliteEngine
from volens.store.sqlite.database_files import put_in_place
from volens.store.sqlite.left_files import left_in_file, remove_file, scrub_moved

if TYPE_CHECKING:
    from volens.store.postgres import DatabaseUrl

_ADDRESS: Final = ("host", "port")
_COPYING: Final = ".copying"


@final
@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """Where one database is, or will be.

    Attributes:
        line: of the schema: data or keyring.
        path: of the file, if it is one.
        url: of the server, with the schema; None for a file.
    """

    line: str
    path: Path
    url: "DatabaseUrl | None"

    @classmethod
    def of(cls, line: str, path: Path, databases: SiteDatabases | None) -> Self:
        """Return the place of a line of the schema.

        Raises:
            UnavailableError: the package for PostgreSQL is not installed.
        """
        if databases is None:
            return cls(line, path, None)
        return cls(line, path, server_url(databases, line))

    def __str__(self) -> str:
        """Return the place without user and password, for messages."""
        if self.url is None:
            return str(self.path)
        full = self.url.url
        query = {name: value for name, value in full.query.items() if name in _ADDRESS} | {"schema": self.url.schema}
        plain = URL.create("postgresql", host=full.host, port=full.port, database=full.database, query=query)
        return plain.render_as_string()

    @property
    def revision(self) -> str:
        """The revision that this version makes."""
        return REVISIONS[self.line][-1]

    def left(self) -> tuple[str, str] | None:
        """Return the revision and the site of what is there, without opening it; None if there are no tables.

        Raises:
            UnavailableError: the file cannot be read, or the server does not answer.
            TamperError: the file is no database of Volens.
        """
        if self.url is None:
            return left_in_file(self.path, self.line)
        from volens.store.postgres import left_in_schema  # noqa: PLC0415  an optional package, which is there

        return left_in_schema(self.url, self.line)

    def remove(self) -> None:
        """Remove the database that is there."""
        if self.url is None:
            remove_file(self.path)
            return
        from volens.store.postgres import remove_schema  # noqa: PLC0415  an optional package, which is there

        remove_schema(self.url)

    def make(self, fill: Callable[[Connection], None]) -> StoreEngine:
        """Make a draft, which no opening accepts but `open`; `fill` inserts the rows, before there are rules.

        Raises:
            UnavailableError: something is there, or the disk or the server refuses.
        """
        if self.url is not None:
            from volens.store.postgres import PostgresEngine  # noqa: PLC0415  an optional package, which is there

            return PostgresEngine(self.url, self.line, (DRAFT,), SqliteEngine, create=True, fill=fill)
        unmarked = self.path.with_name(f".{self.path.name}{_COPYING}")
        remove_file(unmarked)
        engine = SqliteEngine(unmarked, self.line, REVISIONS[self.line], create=True, fill=fill)
        try:
            with engine.write() as connection:
                set_revision(connection, DRAFT)
        finally:
            engine.close()
        put_in_place(unmarked, self.path)
        return self.open(DRAFT)

    def open(self, revision: str) -> StoreEngine:
        """Open the database of this revision: a draft, or a finished one.

        Raises:
            UnavailableError, TamperError: see `StoreEngine`.
        """
        if self.url is None:
            return SqliteEngine(self.path, self.line, (revision,))
        from volens.store.postgres import PostgresEngine  # noqa: PLC0415  an optional package, which is there

        return PostgresEngine(self.url, self.line, (revision,), SqliteEngine)

    def scrub_moved(self) -> bool:
        """Scrub what the tables of a moved site left; False if another process still reads it.

        A server has removed the tables; what it keeps elsewhere cannot be reached.
        """
        return self.url is not None or scrub_moved(self.path)
