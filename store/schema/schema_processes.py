"""The table of the processes that serve a site; see `volens.store.schema.data_tables`."""

from typing import Final

from sqlalchemy import Column, Integer, String, Table

from volens.store.schema.column_types import UtcDateTime
from volens.store.schema.data_tables import metadata

process: Final = Table(
    "process",
    metadata,
    Column("process_id", String, primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("galleries", Integer, nullable=False),
)
