"""Tables of evidence that stays after a consent has ended: receipts, ends, erasures, certificates, requests, orders.

It stays for a period of the person's jurisdiction; then the sweep deletes it (`volens.erase.outdated_evidence`). The
database refuses a deletion before, by the time of the newest entry in the log.
"""

from typing import Final

from sqlalchemy import CheckConstraint

from volens.consent import EndReason
from volens.consent.subject_key import MAX_JWK_BYTES, MIN_JWK_BYTES
from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import LOG_TIME, InDialect, RowRule, build_table

_RECEIPT: Final = "receipt.receipt_id"
_ENDED: Final = "consent_end.receipt_id"
_UNTIL_ITS_END: Final = f"OLD.evidence_until > {LOG_TIME}"
_WITH_ITS_END: Final = (
    "EXISTS (SELECT 1 FROM consent_end AS ended"  # noqa: S608  names of our own
    f" WHERE ended.receipt_id = OLD.receipt_id AND ended.evidence_until > {LOG_TIME})"
)
_WITH_ITS_CONSENT: Final = (
    "EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = OLD.receipt_id)"
    " OR EXISTS (SELECT 1 FROM consent_end WHERE receipt_id = OLD.receipt_id)"
)
_UNTIL_FINISHED: Final = (
    "EXISTS (SELECT 1 FROM cohort WHERE cohort.cohort_id = OLD.cohort_id AND cohort.finished_at IS NULL)"
)

receipt: Final = build_table(
    "receipt",
    col.key(col.text_of("receipt_id", 32)),
    col.text_of("subject_id", 43, index=True),
    col.of_zone(),
    col.text("jurisdiction", index=True),
    col.blob("subject_key", f"BETWEEN {MIN_JWK_BYTES} AND {MAX_JWK_BYTES}", example=b"~" * MIN_JWK_BYTES),
    col.text("token"),
    col.text("guardian_token", nullable=True),
    col.bytes_of("withdrawal_digest", 32, unique=True),
    col.utc_time("expires_at"),
    rule=RowRule(changeable=frozenset({"withdrawal_digest"}), kept_while=_WITH_ITS_CONSENT),
)
"""`jurisdiction` is that of the signed token, `subject_key` a canonical JWK; `guardian_token` is a guardian's signature
over the same receipt. The digest changes when a code is issued again, while the consent is in force."""

consent_end: Final = build_table(
    "consent_end",
    col.of_row("receipt_id", _RECEIPT, primary_key=True),
    col.one_of("reason", *(reason.value for reason in EndReason)),
    col.utc_time("ended_at", index=True),
    col.integer("log_size", ">= 0", index=True),
    col.utc_time("evidence_until", index=True),
    rule=RowRule(changeable=frozenset({"evidence_until"}), only_earlier=("evidence_until",), kept_while=_UNTIL_ITS_END),
)
"""`log_size`: entries in the log before this end was written; the keyring finds by it what it does not remember yet.

`evidence_until`: as the profile of the person's jurisdiction had it when the consent ended; only ever moved earlier."""

erasure: Final = build_table(
    "erasure",
    col.of_row("receipt_id", _ENDED, primary_key=True),
    col.one_of("state", "requested", "stopped", "shredded", "removed", "scrubbed", "verified", "certified", "notified"),
    col.text("facts"),
    col.utc_time("changed_at"),
    rule=None,
)

certificate: Final = build_table(
    "certificate",
    col.of_row("receipt_id", _ENDED, primary_key=True),
    col.text("certificate_id", unique=True),
    col.text("token"),
    col.utc_time("issued_at"),
    rule=RowRule(kept_while=_WITH_ITS_END),
)

access_request: Final = build_table(
    "access_request",
    col.key(col.text_of("request_id", 32)),
    col.one_of("kind", "access", "portability", "erasure", "rectification", "objection"),
    col.of_row("receipt_id", _RECEIPT, nullable=True, index=True),
    col.utc_time("received_at"),
    col.utc_time("due_at"),
    col.utc_time("extended_at", nullable=True),
    col.one_of("extended_for", "complex", "many", nullable=True),
    col.utc_time("answered_at", nullable=True),
    col.one_of("outcome", "answered", "nothing held", "carried out", "refused", "taken back", nullable=True),
    CheckConstraint("(answered_at IS NULL) = (outcome IS NULL)"),
    CheckConstraint("(extended_at IS NULL) = (extended_for IS NULL)"),
    CheckConstraint(
        InDialect(
            sqlite="due_at <= strftime('%Y-%m-%dT%H:%M:%SZ', received_at, '+3 months')",
            postgresql="due_at <= to_char((CAST(received_at AS timestamptz) AT TIME ZONE 'UTC') + INTERVAL '3 months',"
            """ 'YYYY-MM-DD"T"HH24:MI:SS"Z"')""",
        )
    ),
    rule=RowRule(
        changeable=frozenset({"due_at", "extended_at", "extended_for", "answered_at", "outcome"}),
        closed_by="answered_at",
        kept_while="OLD.answered_at IS NULL",
    ),
)

cohort: Final = build_table(
    "cohort",
    col.key(col.text_of("cohort_id", 32)),
    col.text("plan"),
    col.text("approval", nullable=True),
    col.utc_time("begun_at"),
    col.utc_time("finished_at", nullable=True),
    col.text("facts"),
    rule=RowRule(
        changeable=frozenset({"finished_at", "facts"}),
        closed_by="finished_at",
        kept_while="OLD.finished_at IS NULL",
    ),
)

cohort_member: Final = build_table(
    "cohort_member",
    col.of_row("cohort_id", "cohort.cohort_id", primary_key=True),
    col.of_row("receipt_id", _RECEIPT, primary_key=True, index=True),
    rule=RowRule(kept_while=_UNTIL_FINISHED),
)

proposed_order: Final = build_table(
    "proposed_order",
    col.key(col.text_of("cohort_id", 32)),
    col.text("plan"),
    col.text("proposed_by"),
    col.utc_time("proposed_at"),
    col.integer("log_index", ">= 0"),
    col.text("approved_by", nullable=True),
    col.utc_time("approved_at", nullable=True),
    col.integer("approval_index", ">= 0", nullable=True),
    CheckConstraint("approved_by <> proposed_by"),
    CheckConstraint("(approved_at IS NULL) = (approved_by IS NULL)"),
    CheckConstraint("(approved_at IS NULL) = (approval_index IS NULL)"),
    rule=RowRule(
        changeable=frozenset({"approved_by", "approved_at", "approval_index"}),
        closed_by="approved_at",
        kept_while="EXISTS (SELECT 1 FROM cohort WHERE cohort.cohort_id = OLD.cohort_id)",
    ),
)
"""The plan of an order that waits for a second privacy officer. Officers are ids of credentials, never names."""

acknowledgement: Final = build_table(
    "acknowledgement",
    col.of_row("receipt_id", _ENDED, primary_key=True),
    col.of_row("recipient_id", "recipient.recipient_id", primary_key=True),
    col.text("token"),
    col.utc_time("acknowledged_at"),
    rule=RowRule(kept_while=_WITH_ITS_END),
)
