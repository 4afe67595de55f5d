"""The tables of the data file. Rules that the types state are stated again by keys and triggers (migrations/data).

Three kinds of tables: promises (`site`, `zone`, `notice`, `operator*`, `collection_stop`, `recipient`), evidence that
stays (`receipt`, `consent_end`, `erasure`, `certificate`, `acknowledgement`, `cohort*`, `access_request`, `audit_*`)
and what dies with the consent (`live_consent` and all that hangs on it by ON DELETE CASCADE).
"""

from typing import Final

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from volens.store.schema.column_types import UtcDateTime

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")

metadata: Final = MetaData()

site: Final = Table(
    "site",
    metadata,
    Column("site_id", String, primary_key=True),
    Column("controller_name", String, nullable=False),
    Column("controller_contact", String, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

zone: Final = Table(
    "zone",
    metadata,
    Column("purpose", String, primary_key=True),
    Column("custody", String, nullable=False),
    Column("justification", String, nullable=False),
    Column("alternative", String, nullable=False),
    Column("retention_days", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("match_history_days", Integer, nullable=False),
    Column("second_factor", String, nullable=False),
)

notice: Final = Table(
    "notice",
    metadata,
    Column("purpose", String, ForeignKey("zone.purpose"), primary_key=True),
    Column("language", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("text", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("supersedes_within_days", Integer, nullable=True),
)

shorter_retention: Final = Table(
    "shorter_retention",
    metadata,
    Column("purpose", String, ForeignKey("zone.purpose"), primary_key=True),
    Column("retention_days", Integer, primary_key=True),
    Column("decided_at", UtcDateTime, nullable=False),
)

receipt: Final = Table(
    "receipt",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, ForeignKey("zone.purpose"), nullable=False),
    Column("subject_key", LargeBinary, nullable=False),
    Column("token", String, nullable=False),
    Column("withdrawal_digest", LargeBinary, nullable=False, unique=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

live_consent: Final = Table(
    "live_consent",
    metadata,
    Column("receipt_id", String, ForeignKey("receipt.receipt_id"), primary_key=True),
    Column("subject_id", String, primary_key=True),
    Column("purpose", String, ForeignKey("zone.purpose"), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)


def hangs_on_live_consent() -> ForeignKeyConstraint:
    """Return the key by which a row about a person goes when their consent goes."""
    return ForeignKeyConstraint(
        ["receipt_id", "subject_id", "purpose"],
        ["live_consent.receipt_id", "live_consent.subject_id", "live_consent.purpose"],
        ondelete="CASCADE",
    )


subject_profile: Final = Table(
    "subject_profile",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("sealed_name", LargeBinary, nullable=False),
    hangs_on_live_consent(),
)

biometric_reference: Final = Table(
    "biometric_reference",
    metadata,
    Column("reference_id", Integer, primary_key=True),
    Column("receipt_id", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("model_id", String, nullable=False),
    Column("model_licence", String, nullable=False),
    Column("sealed_embedding", LargeBinary, nullable=False),
    Column("photo_count", Integer, nullable=False),
    Column("enrolled_at", UtcDateTime, nullable=False),
    hangs_on_live_consent(),
    UniqueConstraint("receipt_id", "model_id"),
    Index("ix_biometric_reference_purpose_model_id", "purpose", "model_id"),
    sqlite_autoincrement=True,
)

leaving: Final = Table(
    "leaving",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("leaves_at", UtcDateTime, nullable=False),
    hangs_on_live_consent(),
)

last_interaction: Final = Table(
    "last_interaction",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("interacted_at", UtcDateTime, nullable=False),
    hangs_on_live_consent(),
)

passage: Final = Table(
    "passage",
    metadata,
    Column("passage_id", Integer, primary_key=True),
    Column("receipt_id", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("matched_at", UtcDateTime, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("model_id", String, nullable=False),
    Column("asked_by", String, nullable=True),
    hangs_on_live_consent(),
    UniqueConstraint("receipt_id", "kind", "matched_at"),
    sqlite_autoincrement=True,
)

subject_secret: Final = Table(
    "subject_secret",
    metadata,
    Column("receipt_id", String, primary_key=True),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    hangs_on_live_consent(),
)

badge: Final = Table(
    "badge",
    metadata,
    Column("reference_id", Integer, primary_key=True),
    Column("receipt_id", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("model_id", String, nullable=False),
    Column("model_licence", String, nullable=False),
    Column("badge_sha256", LargeBinary, nullable=False),
    Column("photo_count", Integer, nullable=False),
    Column("enrolled_at", UtcDateTime, nullable=False),
    hangs_on_live_consent(),
    UniqueConstraint("receipt_id", "model_id"),
    sqlite_autoincrement=True,
)

consent_end: Final = Table(
    "consent_end",
    metadata,
    Column("receipt_id", String, ForeignKey("receipt.receipt_id"), primary_key=True),
    Column("reason", String, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
)

erasure: Final = Table(
    "erasure",
    metadata,
    Column("receipt_id", String, ForeignKey("consent_end.receipt_id"), primary_key=True),
    Column("state", String, nullable=False),
    Column("facts", String, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

certificate: Final = Table(
    "certificate",
    metadata,
    Column("receipt_id", String, ForeignKey("consent_end.receipt_id"), primary_key=True),
    Column("certificate_id", String, nullable=False, unique=True),
    Column("token", String, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
)

access_request: Final = Table(
    "access_request",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("receipt_id", String, ForeignKey("receipt.receipt_id"), nullable=True),
    Column("received_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("extended_at", UtcDateTime, nullable=True),
    Column("extended_for", String, nullable=True),
    Column("answered_at", UtcDateTime, nullable=True),
    Column("outcome", String, nullable=True),
)

operator_key: Final = Table(
    "operator_key",
    metadata,
    Column("name", String, primary_key=True),
    Column("public_key", LargeBinary, nullable=False, unique=True),
    Column("added_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime, nullable=True),
)

api_credential: Final = Table(
    "api_credential",
    metadata,
    Column("credential_id", String, primary_key=True),
    Column("label", String, nullable=False),
    Column("role", String, nullable=False),
    Column("purpose", String, ForeignKey("zone.purpose"), nullable=True),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
)

operators_required: Final = Table(
    "operators_required",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("required", Integer, nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
)

collection_stop: Final = Table(
    "collection_stop",
    metadata,
    Column("order_id", String, primary_key=True),
    Column("jurisdiction", String, nullable=True),
    Column("purpose", String, ForeignKey("zone.purpose"), nullable=True),
    Column("log_index", Integer, nullable=False),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("lifted_at", UtcDateTime, nullable=True),
)

cohort: Final = Table(
    "cohort",
    metadata,
    Column("cohort_id", String, primary_key=True),
    Column("plan", String, nullable=False),
    Column("approval", String, nullable=True),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=True),
    Column("facts", String, nullable=False),
)

cohort_member: Final = Table(
    "cohort_member",
    metadata,
    Column("cohort_id", String, ForeignKey("cohort.cohort_id"), primary_key=True),
    Column("receipt_id", String, ForeignKey("receipt.receipt_id"), primary_key=True),
)

recipient: Final = Table(
    "recipient",
    metadata,
    Column("recipient_id", String, primary_key=True),
    Column("purpose", String, ForeignKey("zone.purpose"), nullable=False),
    Column("name", String, nullable=False),
    Column("contact", String, nullable=False),
    Column("public_key", LargeBinary, nullable=True),
    Column("added_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime, nullable=True),
    UniqueConstraint("purpose", "name"),
)

acknowledgement: Final = Table(
    "acknowledgement",
    metadata,
    Column("receipt_id", String, ForeignKey("consent_end.receipt_id"), primary_key=True),
    Column("recipient_id", String, ForeignKey("recipient.recipient_id"), primary_key=True),
    Column("token", String, nullable=False),
    Column("acknowledged_at", UtcDateTime, nullable=False),
)

audit_event: Final = Table(
    "audit_event",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
)

audit_node: Final = Table(
    "audit_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

audit_opening: Final = Table(
    "audit_opening",
    metadata,
    Column("seq", Integer, ForeignKey("audit_event.seq"), primary_key=True, autoincrement=False),
    Column("receipt_id", String, nullable=True, index=True),
    Column("details", String, nullable=False),
    Column("salt", LargeBinary, nullable=False),
)

opening_term: Final = Table(
    "opening_term",
    metadata,
    Column("seq", Integer, ForeignKey("audit_opening.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("ends_at", UtcDateTime, nullable=False, index=True),
)

audit_checkpoint: Final = Table(
    "audit_checkpoint",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", String, nullable=False),
)
