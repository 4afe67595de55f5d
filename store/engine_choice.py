"""The choice of a storage engine. The only module outside `volens.store.sqlite` and `.postgres` that may import them.

A home has its databases in files, or names those of a PostgreSQL server in ``databases.json``.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from volens.consent import InputError
from volens.store.engine import SchemaRollout, StoreEngine
from volens.store.optional_package import needs
from volens.store.site_databases import SiteDatabases, read_databases
from volens.store.sqlite.database import SqliteEngine
from volens.store.sqlite.database_files import copy_closed, put_in_place

_SCHEMAS: Final = {"data": "volens", "keyring": "volens_keyring"}

if TYPE_CHECKING:
    from volens.store.postgres import DatabaseUrl, SharedDocument

__all__ = [
    "copy_closed",
    "open_engine",
    "put_in_place",
    "role_sql",
    "server_databases",
    "server_document",
    "server_url",
]


def open_engine(
    path: Path,
    migrations: str,
    revisions: tuple[str, ...],
    *,
    create: bool = False,
    rollout: SchemaRollout | None = None,
) -> StoreEngine:
    """Open a database, or make it, and migrate it; see `SqliteEngine` and `PostgresEngine`.

    `path` names the file. If its folder has ``databases.json``, the database is the one that it names.

    Raises:
        UnavailableError: missing, locked, read-only, full, already there, or written by a newer version.
        TamperError: not a database of Volens, or damaged.
    """
    databases = read_databases(path.parent)
    if databases is None:
        return SqliteEngine(path, migrations, revisions, create=create, rollout=rollout)
    url = server_url(databases, migrations)
    from volens.store.postgres import PostgresEngine  # noqa: PLC0415  an optional package, which is there

    return PostgresEngine(url, migrations, revisions, SqliteEngine, create=create, rollout=rollout)


def parse_server_url(text: str, line: str) -> "DatabaseUrl":
    """Return the URL of a database on a server, with the schema of a line if it names none.

    Raises:
        InputError: the URL is not valid, or has a password.
        UnavailableError: the package for PostgreSQL is not installed.
    """
    with needs("psycopg", "postgres", "a site on a PostgreSQL server"):
        from volens.store.postgres import DatabaseUrl  # noqa: PLC0415  an optional package
    return DatabaseUrl.parse(text, schema=_SCHEMAS[line])


def server_url(databases: SiteDatabases, line: str) -> "DatabaseUrl":
    """Return the URL of a line of the schema; see `parse_server_url`."""
    return parse_server_url(databases.of_line(line), line)


def server_databases(data: str, keyring: str | None = None) -> SiteDatabases:
    """Return the databases of a site from the URLs that a person gave; without `keyring`, a schema next to the data.

    Raises:
        InputError: a URL is not valid, has a password, or both name one schema of one database.
        UnavailableError: the package for PostgreSQL is not installed.
    """
    of_data = parse_server_url(data, "data")
    of_keyring = (
        replace(of_data, schema=f"{of_data.schema}_keyring"[:63])
        if keyring is None
        else parse_server_url(keyring, "keyring")
    )
    if of_data == of_keyring:
        raise InputError(
            "the data and the keyring were given one schema of one database; a dump of it would have both. "
            "Name another database or schema for the keyring"
        )
    return SiteDatabases(str(of_data), str(of_keyring))


def role_sql(databases: SiteDatabases, app: str, doors: str | None = None, zones: Sequence[str] = ()) -> list[str]:
    """Return the SQL for the role of application nodes, or with `doors` for a role that reads some zones only.

    `zones` are valid names of zones.

    Raises:
        InputError: the name of a role is not valid.
        UnavailableError: the package for PostgreSQL is not installed.
    """
    data, keyring = (server_url(databases, line) for line in _SCHEMAS)
    from volens.store.postgres import app_role, door_role  # noqa: PLC0415  an optional package, which is there

    return app_role(app, data, keyring) if doors is None else door_role(doors, data, app, zones)


def server_document(home: Path, name: str) -> "SharedDocument | None":
    """Return a small document that the nodes of a site on a server share, by its name; None if there is no server.

    Raises:
        UnavailableError, TamperError: the file that names the databases cannot be used.
    """
    databases = read_databases(home)
    if databases is None:
        return None
    url = server_url(databases, "keyring")
    from volens.store.postgres import SharedDocument  # noqa: PLC0415  an optional package, which is there

    return SharedDocument(url, name)
