"""The tables of what is told to recipients by webhook; see `volens.store.schema.data_tables`."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table

from volens.store.schema.column_types import UtcDateTime
from volens.store.schema.data_tables import metadata

webhook_endpoint: Final = Table(
    "webhook_endpoint",
    metadata,
    Column("endpoint_id", String, primary_key=True),
    Column("recipient_id", String, ForeignKey("recipient.recipient_id"), nullable=False),
    Column("url", String, nullable=False),
    Column("kinds", String, nullable=False),
    Column("allow_private", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("previous_until", UtcDateTime, nullable=True),
    Column("added_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime, nullable=True),
    Column("disabled_why", String, nullable=True),
)

webhook_outbox: Final = Table(
    "webhook_outbox",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("message_id", String, nullable=False, unique=True),
    Column("endpoint_id", String, ForeignKey("webhook_endpoint.endpoint_id"), nullable=False),
    Column("receipt_id", String, ForeignKey("receipt.receipt_id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("body", String, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("claimed_until", UtcDateTime, nullable=True),
    Column("dead_at", UtcDateTime, nullable=True),
    Column("last_problem", String, nullable=True),
    Column("delivered_at", UtcDateTime, nullable=True),
    Index("ix_webhook_outbox_endpoint_id_receipt_id", "endpoint_id", "receipt_id"),
    sqlite_autoincrement=True,
)
