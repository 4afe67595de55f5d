"""Clocks, passages, personal custody, requests, cohorts and recipients; more reasons for which a consent ends."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"
_REASONS = "('withdrawn', 'expired', 'retention', 'inactive', 'left', 'superseded', 'ordered', 'lost')"
_OWNER = """
    receipt_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    purpose TEXT NOT NULL"""
_HANGS = """
    FOREIGN KEY (receipt_id, subject_id, purpose)
        REFERENCES live_consent (receipt_id, subject_id, purpose) ON DELETE CASCADE"""

# SQLite cannot change a CHECK, so the table is made again, and with it the two that point to it.
_ENDED = f"""
CREATE TABLE consent_end (
    receipt_id TEXT PRIMARY KEY NOT NULL REFERENCES receipt (receipt_id),
    reason TEXT NOT NULL CHECK (reason IN {_REASONS}),
    ended_at TEXT NOT NULL CHECK (ended_at {_TIME})
) STRICT;

CREATE TABLE erasure (
    receipt_id TEXT PRIMARY KEY NOT NULL REFERENCES consent_end (receipt_id),
    state TEXT NOT NULL CHECK (state IN
        ('requested', 'stopped', 'shredded', 'removed', 'scrubbed', 'verified', 'certified', 'notified')),
    facts TEXT NOT NULL,
    changed_at TEXT NOT NULL CHECK (changed_at {_TIME})
) STRICT;

CREATE TABLE certificate (
    receipt_id TEXT PRIMARY KEY NOT NULL REFERENCES consent_end (receipt_id),
    certificate_id TEXT NOT NULL UNIQUE,
    token TEXT NOT NULL,
    issued_at TEXT NOT NULL CHECK (issued_at {_TIME})
) STRICT;
"""

_TABLES = f"""
ALTER TABLE zone ADD COLUMN match_history_days INTEGER NOT NULL DEFAULT 90
    CHECK (match_history_days BETWEEN 0 AND 366);

ALTER TABLE notice ADD COLUMN supersedes_within_days INTEGER
    CHECK (supersedes_within_days BETWEEN 0 AND 366);

CREATE TABLE shorter_retention (
    purpose TEXT NOT NULL REFERENCES zone (purpose),
    retention_days INTEGER NOT NULL CHECK (retention_days >= 1),
    decided_at TEXT NOT NULL CHECK (decided_at {_TIME}),
    PRIMARY KEY (purpose, retention_days)
) STRICT;

CREATE TABLE leaving ({_OWNER},
    leaves_at TEXT NOT NULL CHECK (leaves_at {_TIME}),
    PRIMARY KEY (receipt_id),{_HANGS}
) STRICT;

CREATE TABLE last_interaction ({_OWNER},
    interacted_at TEXT NOT NULL CHECK (interacted_at {_TIME}),
    PRIMARY KEY (receipt_id),{_HANGS}
) STRICT;

CREATE TABLE passage (
    passage_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,{_OWNER},
    matched_at TEXT NOT NULL CHECK (matched_at {_TIME}),
    kind TEXT NOT NULL CHECK (kind IN ('identify', 'verify')),
    model_id TEXT NOT NULL,
    UNIQUE (receipt_id, kind, matched_at),{_HANGS}
) STRICT;
CREATE INDEX ix_passage_matched_at ON passage (matched_at);

CREATE TABLE subject_secret ({_OWNER},
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    PRIMARY KEY (receipt_id),{_HANGS}
) STRICT;

CREATE TABLE badge (
    reference_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,{_OWNER},
    model_id TEXT NOT NULL,
    model_licence TEXT NOT NULL CHECK (trim(model_licence) <> ''),
    badge_sha256 BLOB NOT NULL CHECK (length(badge_sha256) = 32),
    photo_count INTEGER NOT NULL CHECK (photo_count >= 1),
    enrolled_at TEXT NOT NULL CHECK (enrolled_at {_TIME}),
    UNIQUE (receipt_id, model_id),{_HANGS}
) STRICT;

CREATE TABLE access_request (
    request_id TEXT PRIMARY KEY NOT NULL CHECK (length(request_id) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('access', 'portability', 'erasure', 'rectification', 'objection')),
    receipt_id TEXT REFERENCES receipt (receipt_id),
    received_at TEXT NOT NULL CHECK (received_at {_TIME}),
    due_at TEXT NOT NULL CHECK (due_at {_TIME}),
    extended_at TEXT CHECK (extended_at {_TIME}),
    extended_for TEXT CHECK (extended_for IN ('complex', 'many')),
    answered_at TEXT CHECK (answered_at {_TIME}),
    outcome TEXT CHECK (outcome IN ('answered', 'nothing held', 'carried out', 'refused', 'taken back')),
    CHECK ((answered_at IS NULL) = (outcome IS NULL)),
    CHECK ((extended_at IS NULL) = (extended_for IS NULL)),
    CHECK (due_at <= strftime('%Y-%m-%dT%H:%M:%SZ', received_at, '+3 months'))
) STRICT;

CREATE TABLE operator_key (
    name TEXT PRIMARY KEY NOT NULL CHECK (trim(name) <> ''),
    public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    added_at TEXT NOT NULL CHECK (added_at {_TIME}),
    removed_at TEXT CHECK (removed_at {_TIME})
) STRICT;

CREATE TABLE operators_required (
    seq INTEGER PRIMARY KEY NOT NULL,
    required INTEGER NOT NULL CHECK (required IN (1, 2)),
    set_at TEXT NOT NULL CHECK (set_at {_TIME})
) STRICT;

CREATE TABLE collection_stop (
    order_id TEXT PRIMARY KEY NOT NULL CHECK (length(order_id) = 32),
    jurisdiction TEXT,
    purpose TEXT REFERENCES zone (purpose),
    log_index INTEGER NOT NULL,
    placed_at TEXT NOT NULL CHECK (placed_at {_TIME}),
    lifted_at TEXT CHECK (lifted_at {_TIME}),
    CHECK (jurisdiction IS NOT NULL OR purpose IS NOT NULL)
) STRICT;

CREATE TABLE cohort (
    cohort_id TEXT PRIMARY KEY NOT NULL CHECK (length(cohort_id) = 32),
    plan TEXT NOT NULL,
    approval TEXT,
    begun_at TEXT NOT NULL CHECK (begun_at {_TIME}),
    finished_at TEXT CHECK (finished_at {_TIME}),
    facts TEXT NOT NULL
) STRICT;

CREATE TABLE cohort_member (
    cohort_id TEXT NOT NULL REFERENCES cohort (cohort_id),
    receipt_id TEXT NOT NULL REFERENCES receipt (receipt_id),
    PRIMARY KEY (cohort_id, receipt_id)
) STRICT;

CREATE TABLE recipient (
    recipient_id TEXT PRIMARY KEY NOT NULL CHECK (length(recipient_id) = 32),
    purpose TEXT NOT NULL REFERENCES zone (purpose),
    name TEXT NOT NULL CHECK (trim(name) <> ''),
    contact TEXT NOT NULL CHECK (trim(contact) <> ''),
    public_key BLOB CHECK (length(public_key) = 32),
    added_at TEXT NOT NULL CHECK (added_at {_TIME}),
    removed_at TEXT CHECK (removed_at {_TIME}),
    UNIQUE (purpose, name)
) STRICT;

CREATE TABLE acknowledgement (
    receipt_id TEXT NOT NULL REFERENCES consent_end (receipt_id),
    recipient_id TEXT NOT NULL REFERENCES recipient (recipient_id),
    token TEXT NOT NULL,
    acknowledged_at TEXT NOT NULL CHECK (acknowledged_at {_TIME}),
    PRIMARY KEY (receipt_id, recipient_id)
) STRICT;
"""

# Of consents of the first revision only the signature is known; their term was the zone's retention.
_SINCE_THE_SIGNATURE = """
INSERT INTO last_interaction (receipt_id, subject_id, purpose, interacted_at)
SELECT live.receipt_id, live.subject_id, live.purpose,
    strftime('%Y-%m-%dT%H:%M:%SZ', live.expires_at, '-' || zone.retention_days || ' days')
FROM live_consent AS live JOIN zone ON zone.purpose = live.purpose
"""

_HANGING = ("leaving", "last_interaction", "passage", "subject_secret", "badge")

_RULES = [
    "DROP TRIGGER live_consent_is_never_changed",
    """
    CREATE TRIGGER live_consent_is_only_shortened BEFORE UPDATE ON live_consent
    WHEN NEW.receipt_id <> OLD.receipt_id OR NEW.subject_id <> OLD.subject_id OR NEW.purpose <> OLD.purpose
        OR NEW.expires_at > OLD.expires_at
    BEGIN SELECT RAISE(ABORT, 'volens: a consent is given, shortened or ended, never moved or prolonged'); END
    """,
    "DROP TRIGGER live_consent_ends_with_its_references",
    """
    CREATE TRIGGER live_consent_ends_with_all_that_hangs_on_it AFTER DELETE ON live_consent
    BEGIN
        DELETE FROM biometric_reference WHERE receipt_id = OLD.receipt_id;
        DELETE FROM subject_profile WHERE receipt_id = OLD.receipt_id;
        """
    + "\n        ".join(f"DELETE FROM {table} WHERE receipt_id = OLD.receipt_id;" for table in _HANGING)
    + """
    END
    """,
    """
    CREATE TRIGGER biometric_reference_stays_off_the_server_in_badge_custody BEFORE INSERT ON biometric_reference
    WHEN (SELECT custody FROM zone WHERE purpose = NEW.purpose) = 'badge'
    BEGIN SELECT RAISE(ABORT, 'volens: in badge custody the person carries the reference'); END
    """,
    """
    CREATE TRIGGER shorter_retention_is_shorter BEFORE INSERT ON shorter_retention
    WHEN NEW.retention_days >= (SELECT MIN(days) FROM (
        SELECT retention_days AS days FROM zone WHERE purpose = NEW.purpose
        UNION ALL SELECT retention_days FROM shorter_retention WHERE purpose = NEW.purpose
    ))
    BEGIN SELECT RAISE(ABORT, 'volens: a retention is only shortened'); END
    """,
    """
    CREATE TRIGGER leaving_is_only_moved_earlier BEFORE UPDATE ON leaving
    WHEN NEW.receipt_id <> OLD.receipt_id OR NEW.leaves_at > OLD.leaves_at
    BEGIN SELECT RAISE(ABORT, 'volens: a leaving date is only moved earlier'); END
    """,
    """
    CREATE TRIGGER leaving_is_not_taken_back BEFORE DELETE ON leaving
    WHEN EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = OLD.receipt_id)
    BEGIN SELECT RAISE(ABORT, 'volens: a leaving date is not taken back'); END
    """,
    """
    CREATE TRIGGER biometric_reference_needs_the_persons_commitment BEFORE INSERT ON biometric_reference
    WHEN (SELECT custody FROM zone WHERE purpose = NEW.purpose) = 'subject_key'
        AND NOT EXISTS (SELECT 1 FROM subject_secret WHERE receipt_id = NEW.receipt_id)
    BEGIN SELECT RAISE(ABORT, 'volens: in subject_key custody the person holds a half of the key'); END
    """,
    """
    CREATE TRIGGER subject_secret_is_for_subject_key_custody BEFORE INSERT ON subject_secret
    WHEN (SELECT custody FROM zone WHERE purpose = NEW.purpose) IS NOT 'subject_key'
    BEGIN SELECT RAISE(ABORT, 'volens: only in subject_key custody there is a commitment'); END
    """,
    """
    CREATE TRIGGER subject_secret_is_never_changed BEFORE UPDATE ON subject_secret
    BEGIN SELECT RAISE(ABORT, 'volens: a commitment is made once'); END
    """,
    """
    CREATE TRIGGER badge_is_for_badge_custody BEFORE INSERT ON badge
    WHEN (SELECT custody FROM zone WHERE purpose = NEW.purpose) IS NOT 'badge'
    BEGIN SELECT RAISE(ABORT, 'volens: only in badge custody there are badges'); END
    """,
    """
    CREATE TRIGGER badge_is_never_changed BEFORE UPDATE ON badge
    BEGIN SELECT RAISE(ABORT, 'volens: a badge is issued or ended, never changed'); END
    """,
    """
    CREATE TRIGGER access_request_is_answered_once BEFORE UPDATE ON access_request
    WHEN OLD.answered_at IS NOT NULL OR NEW.request_id <> OLD.request_id OR NEW.received_at <> OLD.received_at
        OR NEW.kind <> OLD.kind OR NEW.receipt_id IS NOT OLD.receipt_id
    BEGIN SELECT RAISE(ABORT, 'volens: a request is answered once, never changed'); END
    """,
    """
    CREATE TRIGGER access_request_is_extended_once_and_in_time BEFORE UPDATE ON access_request
    WHEN (NEW.due_at <> OLD.due_at OR NEW.extended_at IS NOT OLD.extended_at
            OR NEW.extended_for IS NOT OLD.extended_for)
        AND (OLD.extended_at IS NOT NULL OR NEW.extended_at IS NULL OR NEW.extended_at > OLD.due_at)
    BEGIN SELECT RAISE(ABORT, 'volens: a request is extended once, while it is due'); END
    """,
    """
    CREATE TRIGGER access_request_is_not_replaced BEFORE INSERT ON access_request
    WHEN EXISTS (SELECT 1 FROM access_request WHERE request_id = NEW.request_id)
    BEGIN SELECT RAISE(ABORT, 'volens: requests are never replaced'); END
    """,
    """
    CREATE TRIGGER access_request_is_not_deleted BEFORE DELETE ON access_request
    BEGIN SELECT RAISE(ABORT, 'volens: requests are never deleted'); END
    """,
    """
    CREATE TRIGGER recipient_is_only_removed BEFORE UPDATE ON recipient
    WHEN OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL OR NEW.recipient_id <> OLD.recipient_id
        OR NEW.purpose <> OLD.purpose OR NEW.name <> OLD.name OR NEW.contact <> OLD.contact
        OR NEW.public_key IS NOT OLD.public_key OR NEW.added_at <> OLD.added_at
    BEGIN SELECT RAISE(ABORT, 'volens: a recipient is added or removed, never changed'); END
    """,
    """
    CREATE TRIGGER recipient_is_not_replaced BEFORE INSERT ON recipient
    WHEN EXISTS (
        SELECT 1 FROM recipient
        WHERE recipient_id = NEW.recipient_id OR (purpose = NEW.purpose AND name = NEW.name)
    )
    BEGIN SELECT RAISE(ABORT, 'volens: a recipient is added or removed, never replaced'); END
    """,
    """
    CREATE TRIGGER recipient_is_not_deleted BEFORE DELETE ON recipient
    BEGIN SELECT RAISE(ABORT, 'volens: recipients are removed, never deleted'); END
    """,
    """
    CREATE TRIGGER cohort_is_not_deleted BEFORE DELETE ON cohort
    BEGIN SELECT RAISE(ABORT, 'volens: cohorts are never deleted'); END
    """,
    """
    CREATE TRIGGER cohort_is_only_finished BEFORE UPDATE ON cohort
    WHEN OLD.finished_at IS NOT NULL OR NEW.cohort_id <> OLD.cohort_id OR NEW.plan <> OLD.plan
        OR NEW.approval IS NOT OLD.approval OR NEW.begun_at <> OLD.begun_at
    BEGIN SELECT RAISE(ABORT, 'volens: a cohort is begun and finished, never changed'); END
    """,
    """
    CREATE TRIGGER cohort_needs_its_approvals BEFORE INSERT ON cohort
    WHEN NEW.approval IS NULL
        AND (SELECT required FROM operators_required ORDER BY seq DESC LIMIT 1) > 1
    BEGIN SELECT RAISE(ABORT, 'volens: this site asks for a second operator'); END
    """,
    """
    CREATE TRIGGER operator_key_is_only_removed BEFORE UPDATE ON operator_key
    WHEN OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL OR NEW.name <> OLD.name
        OR NEW.public_key <> OLD.public_key OR NEW.added_at <> OLD.added_at
    BEGIN SELECT RAISE(ABORT, 'volens: an operator is added or removed, never changed'); END
    """,
    """
    CREATE TRIGGER operator_key_is_not_replaced BEFORE INSERT ON operator_key
    WHEN EXISTS (SELECT 1 FROM operator_key WHERE name = NEW.name OR public_key = NEW.public_key)
    BEGIN SELECT RAISE(ABORT, 'volens: an operator does not come back under a name or key that was used'); END
    """,
    """
    CREATE TRIGGER operator_key_is_not_deleted BEFORE DELETE ON operator_key
    BEGIN SELECT RAISE(ABORT, 'volens: operators are removed, never deleted'); END
    """,
    """
    CREATE TRIGGER operators_required_is_appended BEFORE INSERT ON operators_required
    WHEN NEW.seq <> (SELECT COALESCE(MAX(seq) + 1, 0) FROM operators_required)
    BEGIN SELECT RAISE(ABORT, 'volens: the requirement is set anew, never replaced'); END
    """,
    """
    CREATE TRIGGER collection_stop_is_only_lifted BEFORE UPDATE ON collection_stop
    WHEN OLD.lifted_at IS NOT NULL OR NEW.lifted_at IS NULL OR NEW.order_id <> OLD.order_id
        OR NEW.jurisdiction IS NOT OLD.jurisdiction OR NEW.purpose IS NOT OLD.purpose
        OR NEW.log_index <> OLD.log_index OR NEW.placed_at <> OLD.placed_at
    BEGIN SELECT RAISE(ABORT, 'volens: an order is placed or lifted, never changed'); END
    """,
    """
    CREATE TRIGGER collection_stop_is_not_replaced BEFORE INSERT ON collection_stop
    WHEN EXISTS (SELECT 1 FROM collection_stop WHERE order_id = NEW.order_id)
    BEGIN SELECT RAISE(ABORT, 'volens: an order is placed or lifted, never replaced'); END
    """,
    """
    CREATE TRIGGER collection_stop_is_not_deleted BEFORE DELETE ON collection_stop
    BEGIN SELECT RAISE(ABORT, 'volens: orders are lifted, never deleted'); END
    """,
    """
    CREATE TRIGGER biometric_reference_is_not_added_under_an_order BEFORE INSERT ON biometric_reference
    WHEN EXISTS (
        SELECT 1 FROM cohort_member JOIN cohort ON cohort.cohort_id = cohort_member.cohort_id
        WHERE cohort_member.receipt_id = NEW.receipt_id AND cohort.finished_at IS NULL
    )
    BEGIN SELECT RAISE(ABORT, 'volens: this consent is being erased by order'); END
    """,
    # The jurisdiction stands in the signed receipt only, so an order for one is held by store/collection_stops.py.
    """
    CREATE TRIGGER live_consent_is_not_given_where_collecting_is_stopped BEFORE INSERT ON live_consent
    WHEN EXISTS (
        SELECT 1 FROM collection_stop
        WHERE lifted_at IS NULL AND jurisdiction IS NULL AND purpose = NEW.purpose
    )
    BEGIN SELECT RAISE(ABORT, 'volens: collecting is stopped for this zone'); END
    """,
]
_RULES += [
    f"""
    CREATE TRIGGER {table}_needs_live_consent BEFORE INSERT ON {table}
    WHEN NOT EXISTS (
        SELECT 1 FROM live_consent AS live
        WHERE live.receipt_id = NEW.receipt_id AND live.subject_id = NEW.subject_id AND live.purpose = NEW.purpose
    )
    BEGIN SELECT RAISE(ABORT, 'volens: no live consent'); END
    """
    for table in _HANGING
]

# Append-only tables. INSERT OR REPLACE skips delete triggers, hence the first rule.
_APPEND_ONLY = {
    "consent_end": "receipt_id = NEW.receipt_id",
    "certificate": "receipt_id = NEW.receipt_id OR certificate_id = NEW.certificate_id",
    "operators_required": "seq = NEW.seq",
    "cohort_member": "cohort_id = NEW.cohort_id AND receipt_id = NEW.receipt_id",
    "acknowledgement": "receipt_id = NEW.receipt_id AND recipient_id = NEW.recipient_id",
    "shorter_retention": "purpose = NEW.purpose AND retention_days = NEW.retention_days",
}


def upgrade() -> None:
    """Make the tables and the rules."""
    for table in ("consent_end", "erasure", "certificate"):
        op.execute(f"CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}")
    for table in ("certificate", "erasure", "consent_end"):
        op.execute(f"DROP TABLE {table}")
    for statement in (_ENDED + _TABLES).split(";"):
        if statement.strip():
            op.execute(statement)
    for table in ("consent_end", "erasure", "certificate"):
        op.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        op.execute(f"DROP TABLE kept_{table}")
    op.execute(_SINCE_THE_SIGNATURE)
    for rule in _RULES:
        op.execute(rule)
    for table, same in _APPEND_ONLY.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, 'volens: {table} rows are never replaced, changed or deleted'); END"
        op.execute(
            f"CREATE TRIGGER {table}_is_not_replaced BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) {refuse}"
        )
        op.execute(f"CREATE TRIGGER {table}_is_not_changed BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_is_not_deleted BEFORE DELETE ON {table} {refuse}")
