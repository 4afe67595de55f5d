"""The table of second factors; see `volens.store.schema.data_tables`."""

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, String, Table, UniqueConstraint

from volens.store.schema.column_types import UtcDateTime
from volens.store.schema.data_tables import hangs_on_live_consent, metadata

second_factor: Final = Table(
    "second_factor",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("lookup", LargeBinary, nullable=True),
    Column("salt", LargeBinary, nullable=True),
    Column("verifier", LargeBinary, nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("tried_at", UtcDateTime, nullable=True),
    hangs_on_live_consent(),
    UniqueConstraint("purpose", "lookup"),
)
