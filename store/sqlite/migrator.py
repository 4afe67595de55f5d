"""Migrations with Alembic: a new file is created from the tables as they are now, an older one is upgraded by steps.

There is one line of revisions for each file: `migrations/data` and `migrations/keyring`. The first revision of a line
is its baseline, which changes nothing; a revision that follows upgrades an existing file to the changed tables. What
the newest leaves must be what a new file has, to the letter (`volens.store.sqlite.catalogue`): so it makes a changed
table anew and copies the rows, instead of ALTER TABLE. A column that comes after the last one may be added: SQLite then
writes what a new file has. An expansion (`volens.store.rollout`) adds such columns, tables and rules, and nothing else.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from volens.store.schema import keyring_tables
from volens.store.sqlite.catalogue import table_statements, trigger_statements

FOLDER: Final = Path(__file__).parent / "migrations"


def create(connection: Connection, line: str, fill: Callable[[Connection], None] | None = None) -> None:
    """Create tables, indexes and triggers in a new file, and mark it as of the newest revision.

    `fill` inserts rows of another database, before there are triggers.
    """
    for statement in table_statements(line):
        connection.exec_driver_sql(statement)
    if fill is not None:
        fill(connection)
    for statement in trigger_statements(line):
        connection.exec_driver_sql(statement)
    if line == "keyring" and fill is None:
        connection.execute(keyring_tables.first_schedule())
    command.stamp(_config(connection, line), "head")


def upgrade(connection: Connection, line: str, revision: str = "head") -> None:
    """Bring the file behind `connection` to a revision of `line`, inside the transaction that is open."""
    command.upgrade(_config(connection, line), revision)


def _config(connection: Connection, line: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(FOLDER / line))
    config.attributes["connection"] = connection
    return config
