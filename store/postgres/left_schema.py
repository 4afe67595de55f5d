"""What an unfinished copy, or a site that was moved away, left in a schema: read without opening it, and removed."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from volens.store.postgres.database_url import DatabaseUrl
from volens.store.postgres.postgres_errors import translated
from volens.store.signpost import MOVED

CONNECT_TIMEOUT_S: Final = 5
_OWNER: Final = {"data": "site", "keyring": "keyring"}


def left_in_schema(url: DatabaseUrl, line: str) -> tuple[str, str] | None:
    """Return revision and site of the database in a schema; None if there is none.

    Raises:
        UnavailableError: the server does not answer, or refuses.
    """
    with _connected(url) as connection:
        there = connection.execute("SELECT to_regclass(%s)", [f"{url.schema}.alembic_version"]).fetchone()
        if there is None or there[0] is None:
            return None
        ((revision,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        table = "signpost" if revision == MOVED else _OWNER[line]
        ((site_id,),) = connection.execute(f"SELECT site_id FROM {table}".encode()).fetchall()  # noqa: S608  names of our own
        return str(revision), str(site_id)


def remove_schema(url: DatabaseUrl) -> None:
    """Remove a schema with everything in it."""
    with _connected(url) as connection:
        connection.execute(f"DROP SCHEMA {url.schema} CASCADE".encode())


@contextmanager
def _connected(url: DatabaseUrl) -> Generator[psycopg.Connection[Any]]:
    plain = url.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with (
        translated(f"{url.url.database}/{url.schema}"),
        psycopg.connect(plain, connect_timeout=CONNECT_TIMEOUT_S, application_name="volens") as connection,
    ):
        connection.execute(f"SET search_path = {url.schema}".encode())
        yield connection
