"""The tables of what programs asked for over a network and may ask for again; see `volens.store.schema.data_tables`."""

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, String, Table

from volens.store.schema.column_types import UtcDateTime
from volens.store.schema.data_tables import hangs_on_live_consent, metadata

kept_answer: Final = Table(
    "kept_answer",
    metadata,
    Column("key_sha256", LargeBinary, primary_key=True),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("sealed_answer", LargeBinary, nullable=True),
    Column("receipt_id", String, nullable=True, index=True),
    Column("subject_id", String, nullable=True),
    Column("purpose", String, nullable=True),
    hangs_on_live_consent(),
)

job: Final = Table(
    "job",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("job_id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("credential_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("outcome", String, nullable=True),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
