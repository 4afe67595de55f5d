"""The first tables of the data file, and the triggers by which the database refuses what the types refuse."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"

_TABLES = f"""
CREATE TABLE site (
    site_id TEXT PRIMARY KEY NOT NULL,
    controller_name TEXT NOT NULL,
    controller_contact TEXT NOT NULL,
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    created_at TEXT NOT NULL CHECK (created_at {_TIME})
) STRICT;

CREATE TABLE zone (
    purpose TEXT PRIMARY KEY NOT NULL CHECK (length(purpose) BETWEEN 1 AND 63),
    custody TEXT NOT NULL CHECK (custody IN ('badge', 'subject_key', 'operator')),
    justification TEXT NOT NULL CHECK (custody <> 'operator' OR trim(justification) <> ''),
    alternative TEXT NOT NULL CHECK (trim(alternative) <> ''),
    retention_days INTEGER NOT NULL CHECK (retention_days BETWEEN 1 AND 1098),
    created_at TEXT NOT NULL CHECK (created_at {_TIME})
) STRICT;

CREATE TABLE notice (
    purpose TEXT NOT NULL REFERENCES zone (purpose),
    language TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    text TEXT NOT NULL CHECK (trim(text) <> ''),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    published_at TEXT NOT NULL CHECK (published_at {_TIME}),
    PRIMARY KEY (purpose, language, version)
) STRICT;

CREATE TABLE receipt (
    receipt_id TEXT PRIMARY KEY NOT NULL CHECK (length(receipt_id) = 32),
    subject_id TEXT NOT NULL CHECK (length(subject_id) = 43),
    purpose TEXT NOT NULL REFERENCES zone (purpose),
    subject_key BLOB NOT NULL CHECK (length(subject_key) = 32),
    token TEXT NOT NULL,
    withdrawal_digest BLOB NOT NULL UNIQUE CHECK (length(withdrawal_digest) = 32),
    expires_at TEXT NOT NULL CHECK (expires_at {_TIME})
) STRICT;

CREATE TABLE live_consent (
    receipt_id TEXT NOT NULL REFERENCES receipt (receipt_id),
    subject_id TEXT NOT NULL,
    purpose TEXT NOT NULL REFERENCES zone (purpose),
    expires_at TEXT NOT NULL CHECK (expires_at {_TIME}),
    PRIMARY KEY (receipt_id, subject_id, purpose)
) STRICT;
CREATE INDEX ix_live_consent_expires_at ON live_consent (expires_at);

CREATE TABLE subject_profile (
    receipt_id TEXT PRIMARY KEY NOT NULL,
    subject_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    sealed_name BLOB NOT NULL,
    FOREIGN KEY (receipt_id, subject_id, purpose)
        REFERENCES live_consent (receipt_id, subject_id, purpose) ON DELETE CASCADE
) STRICT;

CREATE TABLE biometric_reference (
    reference_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    receipt_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    model_id TEXT NOT NULL,
    model_licence TEXT NOT NULL CHECK (trim(model_licence) <> ''),
    sealed_embedding BLOB NOT NULL CHECK (length(sealed_embedding) > 29),
    photo_count INTEGER NOT NULL CHECK (photo_count >= 1),
    enrolled_at TEXT NOT NULL CHECK (enrolled_at {_TIME}),
    UNIQUE (receipt_id, model_id),
    FOREIGN KEY (receipt_id, subject_id, purpose)
        REFERENCES live_consent (receipt_id, subject_id, purpose) ON DELETE CASCADE
) STRICT;
CREATE INDEX ix_biometric_reference_purpose ON biometric_reference (purpose);

CREATE TABLE consent_end (
    receipt_id TEXT PRIMARY KEY NOT NULL REFERENCES receipt (receipt_id),
    reason TEXT NOT NULL CHECK (reason IN ('withdrawn', 'expired')),
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

CREATE TABLE audit_event (
    seq INTEGER PRIMARY KEY NOT NULL,
    leaf BLOB NOT NULL
) STRICT;

CREATE TABLE audit_node (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, position)
) STRICT;

CREATE TABLE audit_opening (
    seq INTEGER PRIMARY KEY NOT NULL REFERENCES audit_event (seq),
    receipt_id TEXT,
    details TEXT NOT NULL,
    salt BLOB NOT NULL CHECK (length(salt) = 32)
) STRICT;
CREATE INDEX ix_audit_opening_receipt_id ON audit_opening (receipt_id);

CREATE TABLE audit_checkpoint (
    size INTEGER PRIMARY KEY NOT NULL,
    note TEXT NOT NULL
) STRICT;
"""

# SQLite's foreign keys are off on every new connection, so the rule is stated a second time.
_RULES = [
    """
    CREATE TRIGGER biometric_reference_needs_live_consent BEFORE INSERT ON biometric_reference
    WHEN NOT EXISTS (
        SELECT 1 FROM live_consent AS live
        WHERE live.receipt_id = NEW.receipt_id AND live.subject_id = NEW.subject_id AND live.purpose = NEW.purpose
        AND live.expires_at > NEW.enrolled_at AND live.expires_at > strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
    )
    BEGIN SELECT RAISE(ABORT, 'volens: no live consent'); END
    """,
    """
    CREATE TRIGGER biometric_reference_is_never_changed BEFORE UPDATE ON biometric_reference
    BEGIN SELECT RAISE(ABORT, 'volens: a reference is never changed'); END
    """,
    """
    CREATE TRIGGER live_consent_ends_with_its_references AFTER DELETE ON live_consent
    BEGIN
        DELETE FROM biometric_reference WHERE receipt_id = OLD.receipt_id;
        DELETE FROM subject_profile WHERE receipt_id = OLD.receipt_id;
    END
    """,
    """
    CREATE TRIGGER subject_profile_needs_live_consent BEFORE INSERT ON subject_profile
    WHEN NOT EXISTS (
        SELECT 1 FROM live_consent AS live
        WHERE live.receipt_id = NEW.receipt_id AND live.subject_id = NEW.subject_id AND live.purpose = NEW.purpose
    )
    BEGIN SELECT RAISE(ABORT, 'volens: no live consent'); END
    """,
    """
    CREATE TRIGGER live_consent_needs_its_receipt BEFORE INSERT ON live_consent
    WHEN NOT EXISTS (
        SELECT 1 FROM receipt
        WHERE receipt.receipt_id = NEW.receipt_id AND receipt.subject_id = NEW.subject_id
        AND receipt.purpose = NEW.purpose AND receipt.expires_at >= NEW.expires_at
    ) OR EXISTS (SELECT 1 FROM consent_end WHERE consent_end.receipt_id = NEW.receipt_id)
    BEGIN SELECT RAISE(ABORT, 'volens: no receipt in force'); END
    """,
    """
    CREATE TRIGGER live_consent_is_never_changed BEFORE UPDATE ON live_consent
    BEGIN SELECT RAISE(ABORT, 'volens: a consent is given or ended, never changed'); END
    """,
    """
    CREATE TRIGGER audit_event_is_appended BEFORE INSERT ON audit_event
    WHEN NEW.seq <> (SELECT COALESCE(MAX(seq) + 1, 0) FROM audit_event)
    BEGIN SELECT RAISE(ABORT, 'volens: the log only grows'); END
    """,
    """
    CREATE TRIGGER audit_opening_is_never_changed BEFORE UPDATE ON audit_opening
    BEGIN SELECT RAISE(ABORT, 'volens: an opening is kept or erased, never changed'); END
    """,
]

# Append-only tables. INSERT OR REPLACE skips delete triggers, hence the first rule.
_APPEND_ONLY = {
    "zone": "purpose = NEW.purpose",
    "notice": "purpose = NEW.purpose AND language = NEW.language AND version = NEW.version",
    "receipt": "receipt_id = NEW.receipt_id OR withdrawal_digest = NEW.withdrawal_digest",
    "consent_end": "receipt_id = NEW.receipt_id",
    "certificate": "receipt_id = NEW.receipt_id OR certificate_id = NEW.certificate_id",
    "audit_event": "seq = NEW.seq",
    "audit_node": "level = NEW.level AND position = NEW.position",
    "audit_checkpoint": "size = NEW.size",
}


def upgrade() -> None:
    """Make the tables and the rules."""
    for statement in _TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
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
