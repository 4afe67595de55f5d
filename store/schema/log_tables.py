"""Tables of the audit log: leaves and tree nodes stay; openings, which make a leaf readable, are erased in time."""

from typing import Final

from sqlalchemy import Column, ForeignKey

from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import APPEND_ONLY, RowRule, build_table

audit_event: Final = build_table(
    "audit_event", col.integer("seq", primary_key=True), col.blob("leaf"), rule=RowRule(appended_by="seq")
)

audit_node: Final = build_table(
    "audit_node",
    col.integer("level", primary_key=True),
    col.integer("position", primary_key=True),
    col.bytes_of("hash", 32),
    rule=APPEND_ONLY,
)


audit_opening: Final = build_table(
    "audit_opening",
    Column("seq", col.INTEGER, ForeignKey("audit_event.seq"), primary_key=True, autoincrement=False),
    col.text("receipt_id", nullable=True, index=True),
    col.text("details"),
    col.bytes_of("salt", 32),
    rule=RowRule(deletable=True),
)

audit_checkpoint: Final = build_table(
    "audit_checkpoint", col.integer("size", primary_key=True), col.text("note"), rule=APPEND_ONLY
)

cosignature: Final = build_table(
    "cosignature",
    col.integer("size", primary_key=True),
    col.key(col.text_of("witness_id", 32)),
    col.nonblank("line"),
    col.utc_time("cosigned_at"),
    rule=APPEND_ONLY,
)
"""Signature lines of witnesses for a checkpoint. Each is signed by itself, so it needs no seal."""
