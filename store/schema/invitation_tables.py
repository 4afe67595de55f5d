"""The table of invitations: about a person who has not agreed to anything, so it is no personal table of a consent."""

from typing import Final

from sqlalchemy import CheckConstraint, Index

from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import RowRule, build_table

invitation: Final = build_table(
    "invitation",
    col.key(col.text_of("invitation_id", 32)),
    col.of_zone(),
    col.one_of("state", "open", "used", "cancelled", "expired"),
    col.integer("number", ">= 1"),
    col.bytes_of("external_digest", 32, nullable=True),
    col.blob("sealed_name", "> 29", example=b"~" * 64, nullable=True),
    col.text("language"),
    col.text("jurisdiction"),
    col.integer("valid_days", ">= 1", nullable=True),
    col.utc_time("valid_until", nullable=True),
    col.text("invited_by"),
    col.utc_time("invited_at"),
    col.utc_time("expires_at", index=True),
    col.utc_time("ended_at", nullable=True, index=True),
    CheckConstraint("valid_days IS NULL OR valid_until IS NULL"),
    CheckConstraint("(state = 'open') = (ended_at IS NULL)"),
    CheckConstraint("(state = 'open') = (sealed_name IS NOT NULL)"),
    CheckConstraint("state = 'open' OR external_digest IS NULL"),
    Index("ix_invitation_purpose_external_digest", "purpose", "external_digest"),
    rule=RowRule(
        changeable=frozenset({"state", "number", "external_digest", "sealed_name", "expires_at", "ended_at"}),
        closed_by="ended_at",
        only_higher=("number",),
        deletable=True,
    ),
)
"""`number` counts the links that were sent for it: only the newest one opens it.

A refused invitation has no row: it is deleted at once, and counted in the log only."""
