"""URLs of PostgreSQL databases: parsing is pure (no I/O), and no message repeats a password."""

import re
from dataclasses import dataclass
from typing import Final, Self, final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from volens.consent import InputError

_MAX_CHARACTERS: Final = 1000
_DRIVERS: Final = {"postgresql", "postgresql+psycopg"}
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_BEFORE_QUERY: Final = {"user", "password", "dbname"}
_MAX_NAME: Final = 63
_FORM: Final = "postgresql+psycopg://USER@HOST:PORT/DATABASE[?schema=NAME]"


@final
@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """Where a database is.

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
            InputError: it is not such a URL.
        """
        try:
            url = make_url(text[: _MAX_CHARACTERS + 1])
        except (ArgumentError, ValueError):
            url = None
        if url is None or len(text) > _MAX_CHARACTERS or url.drivername not in _DRIVERS or not url.database:
            raise InputError(f"this is not the URL of a PostgreSQL database; give it as {_FORM}")
        if not url.database.isprintable() or not 0 < len(url.database.encode()) <= _MAX_NAME or '"' in url.database:
            raise InputError(f"the name of the database is not one that PostgreSQL has; give the URL as {_FORM}")
        if not _BEFORE_QUERY.isdisjoint(url.query):
            raise InputError(f"user, password and database stand before the question mark; give the URL as {_FORM}")
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

    def __repr__(self) -> str:
        """Return the URL without its password and its options, which may have one, too: for messages."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    def reveal(self) -> str:
        """Return the URL with its password and its schema, to be stored in a private file."""
        return self.url.update_query_dict({"schema": self.schema}).render_as_string(hide_password=False)
