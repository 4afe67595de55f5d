"""The tables of the keyring: a file of its own, left out of data backups, so that a deleted row is gone everywhere."""

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table

from volens.store.schema.column_types import UtcDateTime

REVISIONS: Final = ("0001", "0002", "0003")

metadata: Final = MetaData()

keyring: Final = Table(
    "keyring",
    metadata,
    Column("site_id", String, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("wrapped_store_key", LargeBinary, nullable=False),
    Column("wrapped_signing_key", LargeBinary, nullable=False),
    Column("log_size", Integer, nullable=False),
    Column("log_root", LargeBinary, nullable=False),
)

grant_secret: Final = Table(
    "grant_secret",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

log_leaf: Final = Table(
    "log_leaf",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
)

ended_consent: Final = Table(
    "ended_consent",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
)

next_store_key: Final = Table(
    "next_store_key",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("new_root", Integer, nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
)

rotation: Final = Table(
    "rotation",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("new_root", Integer, nullable=False),
    Column("rotated_at", UtcDateTime, nullable=False),
    Column("scrubbed", Integer, nullable=False),
)

gallery_snapshot: Final = Table(
    "gallery_snapshot",
    metadata,
    Column("purpose", String, primary_key=True),
    Column("model_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("log_size", Integer, nullable=False),
    Column("log_root", LargeBinary, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)

rotation_schedule: Final = Table(
    "rotation_schedule",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("every_days", Integer, nullable=False),
)
