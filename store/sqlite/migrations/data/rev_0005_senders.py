"""Senders of revocations: who they are, which keys they sign with, what they sent; and what they call our people."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"

_TABLES = (
    f"""
    CREATE TABLE webhook_sender (
        sender_id TEXT PRIMARY KEY NOT NULL CHECK (length(sender_id) = 16),
        label TEXT NOT NULL CHECK (trim(label) <> ''),
        purpose TEXT REFERENCES zone (purpose),
        added_at TEXT NOT NULL CHECK (added_at {_TIME}),
        ended_at TEXT CHECK (ended_at {_TIME})
    ) STRICT
    """,
    f"""
    CREATE TABLE webhook_sender_key (
        sender_id TEXT NOT NULL REFERENCES webhook_sender (sender_id),
        number INTEGER NOT NULL CHECK (number >= 1),
        public_key BLOB CHECK (length(public_key) = 32),
        added_at TEXT NOT NULL CHECK (added_at {_TIME}),
        expires_at TEXT CHECK (expires_at {_TIME}),
        PRIMARY KEY (sender_id, number)
    ) STRICT
    """,
    f"""
    CREATE TABLE webhook_message (
        sender_id TEXT NOT NULL REFERENCES webhook_sender (sender_id),
        message_sha256 BLOB NOT NULL CHECK (length(message_sha256) = 32),
        received_at TEXT NOT NULL CHECK (received_at {_TIME}),
        PRIMARY KEY (sender_id, message_sha256)
    ) STRICT
    """,
    """
    CREATE TABLE external_id (
        receipt_id TEXT NOT NULL,
        subject_id TEXT NOT NULL,
        purpose TEXT NOT NULL,
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        PRIMARY KEY (receipt_id),
        FOREIGN KEY (receipt_id, subject_id, purpose)
            REFERENCES live_consent (receipt_id, subject_id, purpose) ON DELETE CASCADE,
        UNIQUE (purpose, digest)
    ) STRICT
    """,
)

_RULES = (
    """
    CREATE TRIGGER webhook_sender_is_only_ended BEFORE UPDATE ON webhook_sender
    WHEN NEW.sender_id <> OLD.sender_id OR NEW.label <> OLD.label OR NEW.purpose IS NOT OLD.purpose
        OR NEW.added_at <> OLD.added_at OR OLD.ended_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'volens: a sender is added or ended, never changed'); END
    """,
    """
    CREATE TRIGGER webhook_sender_stays BEFORE DELETE ON webhook_sender
    BEGIN SELECT RAISE(ABORT, 'volens: a sender stays on record'); END
    """,
    """
    CREATE TRIGGER webhook_sender_key_is_only_shortened BEFORE UPDATE ON webhook_sender_key
    WHEN NEW.sender_id <> OLD.sender_id OR NEW.number <> OLD.number OR NEW.public_key IS NOT OLD.public_key
        OR NEW.added_at <> OLD.added_at OR NEW.expires_at IS NULL OR NEW.expires_at > OLD.expires_at
    BEGIN SELECT RAISE(ABORT, 'volens: the key of a sender is added or shortened, never changed'); END
    """,
    """
    CREATE TRIGGER webhook_sender_key_stays BEFORE DELETE ON webhook_sender_key
    BEGIN SELECT RAISE(ABORT, 'volens: the key of a sender stays on record'); END
    """,
    """
    CREATE TRIGGER external_id_needs_live_consent BEFORE INSERT ON external_id
    WHEN NOT EXISTS (
        SELECT 1 FROM live_consent AS live
        WHERE live.receipt_id = NEW.receipt_id AND live.subject_id = NEW.subject_id AND live.purpose = NEW.purpose
    )
    BEGIN SELECT RAISE(ABORT, 'volens: no live consent'); END
    """,
    """
    CREATE TRIGGER external_id_is_never_changed BEFORE UPDATE ON external_id
    BEGIN SELECT RAISE(ABORT, 'volens: what others call a person is linked once'); END
    """,
    """
    CREATE TRIGGER live_consent_ends_with_its_external_id AFTER DELETE ON live_consent
    BEGIN DELETE FROM external_id WHERE receipt_id = OLD.receipt_id; END
    """,
)


def upgrade() -> None:
    """Make the tables, and the triggers that keep them."""
    for statement in (*_TABLES, *_RULES):
        op.execute(statement)
