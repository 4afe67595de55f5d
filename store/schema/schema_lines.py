"""The two lines of the schema, data and keyring: the tables of each, its revisions, and its rules of rows."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import MetaData

from volens.store.schema import data_tables, keyring_tables
from volens.store.schema.row_laws import RowLaw, data_laws, keyring_laws

METADATA: Final[Mapping[str, MetaData]] = {"data": data_tables.metadata, "keyring": keyring_tables.metadata}
REVISIONS: Final = {"data": data_tables.REVISIONS, "keyring": keyring_tables.REVISIONS}


def laws_of(line: str) -> list[RowLaw]:
    """Return the rules of a line, as its tables declare them now."""
    return keyring_laws() if line == "keyring" else data_laws()
