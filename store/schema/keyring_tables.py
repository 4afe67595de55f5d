"""Tables of the keyring: a file of its own, left out of data backups, so that a deleted row is gone everywhere."""

from typing import Final

from sqlalchemy import MetaData

from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import RowRule, build_table

REVISIONS: Final = ("baseline",)
"""Schema revisions, oldest first; see `volens.store.sqlite.migrator`."""

FIRST_ROTATION_DAYS: Final = 90
"""The store key of a new site is rotated this often, until the operator sets another schedule."""

metadata: Final = MetaData()

keyring: Final = build_table(
    "keyring",
    col.key(col.text("site_id")),
    col.integer("epoch", ">= 1"),
    col.blob("wrapped_store_key"),
    col.blob("wrapped_signing_key"),
    col.integer("log_size", ">= 0"),
    col.bytes_of("log_root", 32),
    rule=None,
    of=metadata,
)

grant_secret: Final = build_table(
    "grant_secret",
    col.key(col.text_of("receipt_id", 32)),
    col.integer("epoch", ">= 1"),
    col.blob("wrapped"),
    col.utc_time("created_at"),
    rule=None,
    of=metadata,
)

log_leaf: Final = build_table(
    "log_leaf", col.integer("seq", primary_key=True), col.blob("leaf"), rule=RowRule(appended_by="seq"), of=metadata
)

ended_consent: Final = build_table(
    "ended_consent",
    col.key(col.text_of("receipt_id", 32)),
    col.text("reason"),
    col.utc_time("ended_at"),
    rule=RowRule(),
    of=metadata,
)

next_store_key: Final = build_table(
    "next_store_key",
    col.integer("epoch", ">= 2", primary_key=True),
    col.blob("wrapped"),
    col.integer("new_root", "IN (0, 1)"),
    col.utc_time("begun_at"),
    rule=None,
    of=metadata,
)

rotation: Final = build_table(
    "rotation",
    col.integer("epoch", ">= 2", primary_key=True),
    col.integer("new_root", "IN (0, 1)"),
    col.utc_time("rotated_at"),
    col.integer("scrubbed", "IN (0, 1)"),
    rule=None,
    of=metadata,
)

gallery_snapshot: Final = build_table(
    "gallery_snapshot",
    col.key(col.text("purpose")),
    col.key(col.text("model_id")),
    col.text_of("name", 32),
    col.integer("epoch"),
    col.integer("log_size", ">= 1"),
    col.bytes_of("log_root", 32),
    col.integer("parts", ">= 1"),
    col.blob("wrapped", "= 61"),
    rule=None,
    of=metadata,
)

rotation_schedule: Final = build_table(
    "rotation_schedule",
    col.integer("only", "= 1", primary_key=True),
    col.integer("every_days", "BETWEEN 1 AND 1098"),
    rule=None,
    of=metadata,
)
