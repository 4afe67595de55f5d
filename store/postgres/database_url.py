"""URLs of PostgreSQL databases: parsing is pure (no I/O), and a URL with a password is refused.

A URL is given on the command line, which the list of processes and the history of the shell show. The password is where
libpq looks for it: the pgpass file, ``PGPASSWORD``, or a service file; or there is a client certificate instead.
"""

import re
from dataclasses import dataclass
from typing import Final, Self, final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from volens.consent import InputError

_MAX_CHARACTERS: Final = 1000
_DRIVERS: Final = {"postgresql", "postgresql+psycopg"}
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_BEFORE_QUERY: Final = {"user", "dbname"}
_SECRETS: Final = {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
_MAX_NAME: Final = 63
_FORM: Final = "postgresql+psycopg://USER@HOST:PORT/DATABASE[?schema=NAME]"


@final
@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where a database is, without a secret.

    Attributes:
        url: without the schema.
        schema: in which the tables are.
    """

    url: URL
    schema: str

    @classmethod
    def parse(cls, text: str, *, schema: str) -> Self:
        """Read a URL such as ``postgresql+psycopg://volens@db.example:5432/volens?schema=volens``.

        The query may have `schema` and what libpq accepts, such as `sslmode` and `host` (several hosts with
        `target_session_attrs=read-write` follow a failover). `schema` is the one if the URL names none.

        Raises:
            InputError: it is not such a URL, or it has a password. The message does not repeat it.
        """
        try:
            url = make_url(text[: _MAX_CHARACTERS + 1])
        except (ArgumentError, ValueError):
            url = None
        if url is None or len(text) > _MAX_CHARACTERS or url.drivername not in _DRIVERS or not url.database:
            raise InputError(f"this is not the URL of a PostgreSQL database; give it as {_FORM}")
        if url.password or not _SECRETS.isdisjoint(url.query):
            raise InputError(
                "this URL of a database has a password in it, which the list of processes shows; leave it out, and "
                "write it into ~/.pgpass or the file that PGPASSFILE names (mode 0600), or set PGPASSWORD"
            )
        if not url.database.isprintable() or not 0 < len(url.database.encode()) <= _MAX_NAME or '"' in url.database:
            raise InputError(f"the name of the database is not one that PostgreSQL has; give the URL as {_FORM}")
        if not _BEFORE_QUERY.isdisjoint(url.query):
            raise InputError(f"user and database stand before the question mark; give the URL as {_FORM}")
        named = url.query.get("schema", schema)
        if not isinstance(named, str) or not _SCHEMA.fullmatch(named) or named.startswith("pg_"):
            raise InputError(
                "a schema is named by small letters, digits and underscores (63 at most), and not pg_...; "
                f"give the URL as {_FORM}"
            )
        return cls(url.difference_update_query(["schema"]).set(drivername="postgresql+psycopg"), named)

    @property
    def name(self) -> str:
        """What errors call the database: its name and the schema, without the address."""
        return f"{self.url.database}/{self.schema}"

    def __str__(self) -> str:
        """Return the URL with its schema, as `parse` reads it."""
        # There may be an empty password, as in USER:@HOST, which would be hidden as if it were one.
        return self.url.update_query_dict({"schema": self.schema}).render_as_string(hide_password=False)
