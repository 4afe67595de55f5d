"""Tables of what the site promises: itself, zones, notices, operators, recipients, and orders that stop collection."""

from typing import Final

from sqlalchemy import CheckConstraint, UniqueConstraint

from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import APPEND_ONLY, RowRule, build_table

_NEWEST: Final = (
    "NOT EXISTS (SELECT 1 FROM {table} AS newer WHERE newer.fact = OLD.fact AND newer.number > OLD.number{also})"
)
"""Only a declaration since which the same fact was declared again may be deleted."""

site: Final = build_table(
    "site",
    col.key(col.text("site_id")),
    col.text("controller_name"),
    col.text("controller_contact"),
    col.bytes_of("public_key", 32),
    col.utc_time("created_at"),
    rule=None,
)

zone: Final = build_table(
    "zone",
    col.key(col.text("purpose")),
    col.one_of("custody", "badge", "subject_key", "operator"),
    col.text("justification"),
    col.nonblank("alternative"),
    col.integer("retention_days", "BETWEEN 1 AND 1098"),
    col.utc_time("created_at"),
    col.integer("match_history_days", "BETWEEN 0 AND 366"),
    col.one_of("second_factor", "none", "badge", "pin"),
    col.one_of("desk_signature", "allowed", "refused"),
    CheckConstraint("length(purpose) BETWEEN 1 AND 63"),
    CheckConstraint("custody <> 'operator' OR trim(justification) <> ''"),
    CheckConstraint("second_factor = 'none' OR custody = 'operator'"),
    rule=APPEND_ONLY,
)

notice: Final = build_table(
    "notice",
    col.of_zone(primary_key=True),
    col.key(col.text("language")),
    col.integer("version", ">= 1", primary_key=True),
    col.nonblank("text"),
    col.text_of("sha256", 64),
    col.utc_time("published_at"),
    col.integer("supersedes_within_days", "BETWEEN 0 AND 366", nullable=True),
    rule=APPEND_ONLY,
)

shorter_retention: Final = build_table(
    "shorter_retention",
    col.of_zone(primary_key=True),
    col.integer("retention_days", ">= 1", primary_key=True),
    col.utc_time("decided_at"),
    rule=APPEND_ONLY,
)

zone_change: Final = build_table(
    "zone_change",
    col.of_zone(primary_key=True),
    col.integer("number", ">= 1", primary_key=True),
    col.text("title"),
    col.one_of("state", "in_use", "paused", "removed"),
    col.one_of("fpir", "0.1%", "0.01%"),
    col.utc_time("changed_at"),
    col.one_of("trigger", "near", "request", "passing"),
    col.one_of("liveness", "none", "challenge", "pack"),
    col.integer("lease_seconds", "BETWEEN 0 AND 900"),
    col.one_of("after_lease", "closed", "badge"),
    rule=APPEND_ONLY,
)
"""What may change of a zone: each row has what holds from then on; the one with the highest number counts.

Until the first row a zone is in use, has no title, aims at 0.1 % of strangers accepted, has the trigger that is the
default for its custody and second factor, checks no
liveness, and has no leases."""

zone_calibration: Final = build_table(
    "zone_calibration",
    col.of_zone(primary_key=True),
    col.integer("number", ">= 1", primary_key=True),
    col.nonblank("model_id"),
    col.integer("shift_thousandths", "BETWEEN -1000 AND 1000"),
    col.utc_time("decided_at"),
    rule=APPEND_ONLY,
)
"""How far the thresholds of a zone lie above those of a model: `volens.store.promises.zone_calibrations`."""

operator_key: Final = build_table(
    "operator_key",
    col.key(col.nonblank("name")),
    col.bytes_of("public_key", 32, unique=True),
    col.integer("log_index", ">= 0"),
    col.utc_time("added_at"),
    col.utc_time("removed_at", nullable=True),
    rule=RowRule(changeable=frozenset({"removed_at"}), closed_by="removed_at", kept_while="OLD.removed_at IS NULL"),
)

operators_required: Final = build_table(
    "operators_required",
    col.integer("seq", primary_key=True),
    col.integer("required", "IN (1, 2)"),
    col.utc_time("set_at"),
    rule=RowRule(appended_by="seq"),
)

site_default: Final = build_table(
    "site_default",
    col.integer("number", primary_key=True),
    col.one_of("name", "zone", "jurisdiction", "time_zone", "public_url"),
    col.nonblank("value"),
    col.utc_time("set_at"),
    rule=RowRule(appended_by="number"),
)
"""What commands use if it is not given; of each name the newest row counts."""

site_declaration: Final = build_table(
    "site_declaration",
    col.integer("number", primary_key=True),
    col.nonblank("fact"),
    col.text("value"),
    col.utc_time("declared_at"),
    rule=RowRule(appended_by="number", kept_while=_NEWEST.format(table="site_declaration", also="")),
)
"""What the controller declared about itself: `volens.consent.declarations`; of each fact the newest row counts, and an
empty value takes the fact back."""

zone_declaration: Final = build_table(
    "zone_declaration",
    col.of_zone(primary_key=True),
    col.integer("number", ">= 1", primary_key=True),
    col.nonblank("fact"),
    col.text("value"),
    col.utc_time("declared_at"),
    rule=RowRule(
        kept_while=_NEWEST.format(table="zone_declaration", also=" AND newer.purpose = OLD.purpose"),
    ),
)
"""The same about one zone."""

jurisdiction_profile: Final = build_table(
    "jurisdiction_profile",
    col.integer("number", primary_key=True),
    col.nonblank("code"),
    col.text("text", nullable=True),
    col.utc_time("set_at"),
    CheckConstraint("trim(text) <> ''"),
    rule=RowRule(appended_by="number"),
)
"""The profiles that the site added, as TOML; of each code the newest row counts. Without a text it was removed."""
made_paper: Final = build_table(
    "made_paper",
    col.of_zone(primary_key=True),
    col.key(col.nonblank("kind")),
    col.key(col.nonblank("jurisdiction")),
    col.key(col.nonblank("language")),
    col.text_of("record_sha256", 64),
    col.utc_time("made_at"),
    rule=None,
)
"""The newest paper of each kind, and the hash of the processing record that it was made from; the log has all."""

collection_stop: Final = build_table(
    "collection_stop",
    col.key(col.text_of("order_id", 32)),
    col.text("jurisdiction", nullable=True),
    col.of_zone(nullable=True),
    col.integer("log_index"),
    col.utc_time("placed_at"),
    col.utc_time("lifted_at", nullable=True),
    CheckConstraint("jurisdiction IS NOT NULL OR purpose IS NOT NULL"),
    rule=RowRule(changeable=frozenset({"lifted_at"}), closed_by="lifted_at"),
)

recipient: Final = build_table(
    "recipient",
    col.key(col.text_of("recipient_id", 32)),
    col.of_zone(),
    col.nonblank("name"),
    col.nonblank("contact"),
    col.bytes_of("public_key", 32, nullable=True),
    col.utc_time("added_at"),
    col.utc_time("removed_at", nullable=True),
    UniqueConstraint("purpose", "name"),
    rule=RowRule(changeable=frozenset({"removed_at"}), closed_by="removed_at"),
)

witness: Final = build_table(
    "witness",
    col.key(col.text_of("witness_id", 32)),
    col.nonblank("name"),
    col.nonblank("url"),
    col.nonblank("key"),
    col.integer("allow_private", "IN (0, 1)"),
    col.utc_time("added_at"),
    col.utc_time("removed_at", nullable=True),
    rule=RowRule(changeable=frozenset({"removed_at"}), closed_by="removed_at"),
)
"""Organisations that cosign the checkpoints of the public log; `key` is the witness's verifier key, as text."""
