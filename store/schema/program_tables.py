"""Tables about programs: API credentials, senders and recipients of webhooks, the outbox, processes, doors and jobs."""

from typing import Final

from sqlalchemy import CheckConstraint, Index

from volens.consent.zone import MAX_LEASE_SECONDS, MIN_LEASE_SECONDS
from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import LOG_TIME, RowRule, build_table

api_credential: Final = build_table(
    "api_credential",
    col.key(col.text("credential_id")),
    col.text("label"),
    col.one_of("role", "door", "desk", "auditor", "privacy_officer", "operator"),
    col.of_zone(nullable=True),
    col.bytes_of("token_mac", 32, unique=True),
    col.integer("log_index", ">= 0"),
    col.utc_time("issued_at"),
    col.utc_time("expires_at"),
    col.utc_time("link_until", nullable=True),
    col.utc_time("ended_at", nullable=True),
    col.utc_time("leases_refused_at", nullable=True),
    CheckConstraint("leases_refused_at IS NULL OR role = 'door'"),
    CheckConstraint("link_until IS NULL OR role <> 'door'"),
    CheckConstraint("(role = 'door' AND purpose IS NOT NULL) OR role = 'desk' OR (role <> 'door' AND purpose IS NULL)"),
    rule=RowRule(
        changeable=frozenset({"expires_at", "ended_at", "leases_refused_at"}),
        closed_by="ended_at",
        only_earlier=("expires_at",),
        kept_while=f"OLD.ended_at IS NULL AND OLD.expires_at > {LOG_TIME}",
    ),
)

staff_passkey: Final = build_table(
    "staff_passkey",
    col.key(col.text("passkey_id")),
    col.of_row("credential_id", "api_credential.credential_id", index=True),
    col.blob("public_key", ">= 79", example=b"~" * 79),
    col.integer("log_index", ">= 0"),
    col.utc_time("added_at"),
    rule=RowRule(
        kept_while="EXISTS (SELECT 1 FROM api_credential AS its"  # noqa: S608  names of our own
        f" WHERE its.credential_id = OLD.credential_id AND its.ended_at IS NULL AND its.expires_at > {LOG_TIME})"
    ),
)

lease: Final = build_table(
    "lease",
    col.row_id("number"),
    col.text_of("lease_id", 32, unique=True),
    col.of_row("credential_id", "api_credential.credential_id", index=True),
    col.of_zone(),
    col.integer("generation", ">= 0"),
    col.integer("term_seconds", f"BETWEEN {MIN_LEASE_SECONDS} AND {MAX_LEASE_SECONDS}"),
    col.utc_time("given_at"),
    col.text_of("given_boot", 32),
    col.integer("given_boot_s", ">= 0"),
    col.utc_time("ends_at"),
    col.utc_time("revoked_at", nullable=True),
    col.utc_time("acknowledged_at", nullable=True),
    col.integer("acknowledged_generation", ">= 0", nullable=True),
    col.bytes_of("mac", 32),
    Index("ix_lease_purpose", "purpose"),
    CheckConstraint("(acknowledged_at IS NULL) = (acknowledged_generation IS NULL)"),
    rule=RowRule(
        changeable=frozenset({"ends_at", "revoked_at", "acknowledged_at", "acknowledged_generation", "mac"}),
        closed_by="acknowledged_at",
        deletable=True,
    ),
    autoincrement=True,
)
"""Leases of doors (`volens.store.programs.leases`): which door may decide without a connection, and until when.

Each row has a MAC of its own (`volens.store.promises.lease_rows`)."""

webhook_sender: Final = build_table(
    "webhook_sender",
    col.key(col.text_of("sender_id", 16)),
    col.nonblank("label"),
    col.of_zone(nullable=True),
    col.utc_time("added_at"),
    col.utc_time("ended_at", nullable=True),
    rule=RowRule(changeable=frozenset({"ended_at"}), closed_by="ended_at"),
)

webhook_sender_key: Final = build_table(
    "webhook_sender_key",
    col.of_row("sender_id", "webhook_sender.sender_id", primary_key=True),
    col.integer("number", ">= 1", primary_key=True),
    col.bytes_of("public_key", 32, nullable=True),
    col.utc_time("added_at"),
    col.utc_time("expires_at", nullable=True),
    rule=RowRule(changeable=frozenset({"expires_at"}), only_earlier=("expires_at",)),
)

webhook_message: Final = build_table(
    "webhook_message",
    col.of_row("sender_id", "webhook_sender.sender_id", primary_key=True),
    col.key(col.bytes_of("message_sha256", 32)),
    col.utc_time("received_at"),
    col.blob("sealed_request", "> 29", example=b"~" * 30, nullable=True),
    rule=None,
)

webhook_endpoint: Final = build_table(
    "webhook_endpoint",
    col.key(col.text_of("endpoint_id", 16)),
    col.of_row("recipient_id", "recipient.recipient_id"),
    col.text("url"),
    col.text("kinds"),
    col.integer("allow_private", "IN (0, 1)"),
    col.integer("number", ">= 1"),
    col.utc_time("previous_until", nullable=True),
    col.utc_time("added_at"),
    col.utc_time("disabled_at", nullable=True),
    col.text("disabled_why", nullable=True),
    CheckConstraint("(disabled_at IS NULL) = (disabled_why IS NULL)"),
    rule=RowRule(
        changeable=frozenset({"number", "previous_until", "disabled_at", "disabled_why"}), only_higher=("number",)
    ),
)

MESSAGES_OF_LIVE_CONSENT: Final = ("consent.given", "consent.restricted", "consent.resumed", "door.decision")
"""Kinds of messages that need a live consent, and that are deleted from the outbox when it ends."""

webhook_outbox: Final = build_table(
    "webhook_outbox",
    col.row_id("seq"),
    col.text("message_id", unique=True),
    col.of_row("endpoint_id", "webhook_endpoint.endpoint_id"),
    col.of_row("receipt_id", "receipt.receipt_id"),
    col.one_of("kind", *MESSAGES_OF_LIVE_CONSENT, "consent.expired", "subject.erased"),
    col.text("body"),
    col.utc_time("first_at"),
    col.utc_time("due_at", index=True),
    col.integer("attempts", ">= 0"),
    col.utc_time("claimed_until", nullable=True),
    col.utc_time("dead_at", nullable=True),
    col.text("last_problem", nullable=True),
    col.utc_time("delivered_at", nullable=True),
    Index("ix_webhook_outbox_receipt_id_endpoint_id", "receipt_id", "endpoint_id"),
    rule=RowRule(
        changeable=frozenset(
            {"first_at", "due_at", "attempts", "claimed_until", "dead_at", "last_problem", "delivered_at"}
        ),
        deletable=True,
    ),
    autoincrement=True,
)

process: Final = build_table(
    "process",
    col.key(col.text_of("process_id", 16)),
    col.utc_time("started_at"),
    col.utc_time("seen_at", also=" AND seen_at >= started_at"),
    col.integer("generation", ">= 0"),
    col.integer("key_epoch", ">= 0"),
    col.integer("galleries", ">= 0"),
    col.nonblank("version"),
    col.nonblank("revision"),
    col.integer("offset_ms", nullable=True),
    col.integer("uncertainty_ms", ">= 0", nullable=True),
    col.utc_time("certificate_until", nullable=True),
    col.utc_time("decided_at", nullable=True),
    CheckConstraint("(offset_ms IS NULL) = (uncertainty_ms IS NULL)"),
    rule=RowRule(
        changeable=frozenset(
            {"seen_at", "generation", "key_epoch", "galleries", "offset_ms", "uncertainty_ms", "decided_at"}
        ),
        only_higher=("generation", "key_epoch"),
        deletable=True,
    ),
)

door_report: Final = build_table(
    "door_report",
    col.key(col.nonblank("door_id")),
    col.text("door", nullable=True),
    col.text("purpose", nullable=True),
    col.text("version", nullable=True),
    col.utc_time("seen_at"),
    col.integer("offset_ms", nullable=True),
    col.integer("uncertainty_ms", ">= 0", nullable=True),
    col.utc_time("certificate_until", nullable=True),
    col.utc_time("decided_at", nullable=True),
    CheckConstraint("(offset_ms IS NULL) = (uncertainty_ms IS NULL)"),
    rule=None,
)
"""What the programs at doors say of themselves. The rows grant nothing, so they have no seal."""

job: Final = build_table(
    "job",
    col.row_id("seq"),
    col.text_of("job_id", 32, unique=True),
    col.one_of("kind", "sweep", "verify_log", "erase"),
    col.text("credential_id"),
    col.one_of("state", "running", "done", "failed"),
    col.integer("done", ">= 0"),
    col.integer("total", ">= 0"),
    col.text("outcome", nullable=True),
    col.utc_time("begun_at"),
    col.utc_time("seen_at"),
    CheckConstraint("(state = 'running') = (outcome IS NULL)"),
    rule=RowRule(
        changeable=frozenset({"state", "done", "total", "outcome", "seen_at"}), closed_by="outcome", deletable=True
    ),
    autoincrement=True,
)
