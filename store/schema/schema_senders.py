"""The tables of revocation senders; see `volens.store.schema.data_tables`."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, UniqueConstraint

from volens.store.schema.column_types import UtcDateTime
from volens.store.schema.data_tables import hangs_on_live_consent, metadata

webhook_sender: Final = Table(
    "webhook_sender",
    metadata,
    Column("sender_id", String, primary_key=True),
    Column("label", String, nullable=False),
    Column("purpose", String, ForeignKey("zone.purpose"), nullable=True),
    Column("added_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
)

webhook_sender_key: Final = Table(
    "webhook_sender_key",
    metadata,
    Column("sender_id", String, ForeignKey("webhook_sender.sender_id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("public_key", LargeBinary, nullable=True),
    Column("added_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=True),
)

webhook_message: Final = Table(
    "webhook_message",
    metadata,
    Column("sender_id", String, ForeignKey("webhook_sender.sender_id"), primary_key=True),
    Column("message_sha256", LargeBinary, primary_key=True),
    Column("received_at", UtcDateTime, nullable=False),
)

external_id: Final = Table(
    "external_id",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    hangs_on_live_consent(),
    UniqueConstraint("purpose", "digest"),
)
