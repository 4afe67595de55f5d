"""Options that name the databases of a site on a PostgreSQL server."""

from typing import Annotated

import typer

from volens.consent import InputError
from volens.store import SiteDatabases, server_databases

_FORM = "postgresql+psycopg://USER@HOST/DATABASE[?schema=NAME]"

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        help=f"Keep the data on a PostgreSQL server: {_FORM}. Its password is in the pgpass file. "
        "Default: files in the home."
    ),
]
KeyringDatabaseOption = Annotated[
    str | None,
    typer.Option(help="The keyring's database, in the same form. Default: a schema next to the data."),
]


def named_databases(database: str | None, keyring_database: str | None) -> SiteDatabases | None:
    """Return the databases that two options name; None if there are none.

    Raises:
        InputError: a URL is not valid or has a password, or only the keyring's was given.
    """
    if database is not None:
        return server_databases(database, keyring_database)
    if keyring_database is not None:
        raise InputError("got --keyring-database without --database; give both, or neither")
    return None
