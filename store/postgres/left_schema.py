"""What an unfinished copy, or a site that was moved away, left in a schema: read without opening it, and removed."""

from typing import Final

from sqlalchemy import text

from volens.store.postgres.database_url import DatabaseUrl
from volens.store.postgres.postgres_connections import one_transaction
from volens.store.signpost import MOVED

_OWNER: Final = {"data": "site", "keyring": "keyring"}


def left_in_schema(url: DatabaseUrl, line: str) -> tuple[str, str] | None:
    """Return revision and site of the database in a schema; None if there is none.

    Raises:
        UnavailableError: the server does not answer, or refuses.
    """
    with one_transaction(url) as connection:
        there = connection.scalar(text("SELECT to_regclass(:name)"), {"name": f"{url.schema}.alembic_version"})
        if there is None:
            return None
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        table = "signpost" if revision == MOVED else _OWNER[line]
        site_id = connection.scalar(text(f"SELECT site_id FROM {table}"))  # noqa: S608  names of our own
        return str(revision), str(site_id)


def remove_schema(url: DatabaseUrl) -> None:
    """Remove a schema with everything in it.

    Raises:
        UnavailableError: the server does not answer, or refuses.
    """
    with one_transaction(url, "BEGIN") as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {url.schema} CASCADE")
