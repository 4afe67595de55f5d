"""Alembic migrations, one line of revisions for each file: `data` and `keyring`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection, line: str) -> None:
    """Bring the file behind `connection` to the newest revision of `line`, inside the transaction that is open."""
    config = Config()
    here = Path(__file__).parent
    config.set_main_option("script_location", str(here))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(here / line))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
