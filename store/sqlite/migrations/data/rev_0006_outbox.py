"""Where messages of a zone are sent, and the messages that are on their way."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"

_TABLES = (
    f"""
    CREATE TABLE webhook_endpoint (
        endpoint_id TEXT PRIMARY KEY NOT NULL CHECK (length(endpoint_id) = 16),
        recipient_id TEXT NOT NULL REFERENCES recipient (recipient_id),
        url TEXT NOT NULL,
        kinds TEXT NOT NULL,
        allow_private INTEGER NOT NULL CHECK (allow_private IN (0, 1)),
        number INTEGER NOT NULL CHECK (number >= 1),
        previous_until TEXT CHECK (previous_until {_TIME}),
        added_at TEXT NOT NULL CHECK (added_at {_TIME}),
        disabled_at TEXT CHECK (disabled_at {_TIME}),
        disabled_why TEXT,
        CHECK ((disabled_at IS NULL) = (disabled_why IS NULL))
    ) STRICT
    """,
    f"""
    CREATE TABLE webhook_outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
        message_id TEXT NOT NULL UNIQUE,
        endpoint_id TEXT NOT NULL REFERENCES webhook_endpoint (endpoint_id),
        receipt_id TEXT NOT NULL REFERENCES receipt (receipt_id),
        kind TEXT NOT NULL CHECK (kind IN ('consent.given', 'consent.expired', 'subject.erased', 'door.decision')),
        body TEXT NOT NULL,
        first_at TEXT NOT NULL CHECK (first_at {_TIME}),
        due_at TEXT NOT NULL CHECK (due_at {_TIME}),
        attempts INTEGER NOT NULL CHECK (attempts >= 0),
        claimed_until TEXT CHECK (claimed_until {_TIME}),
        dead_at TEXT CHECK (dead_at {_TIME}),
        last_problem TEXT
    ) STRICT
    """,
    "CREATE INDEX ix_webhook_outbox_due_at ON webhook_outbox (due_at)",
    "CREATE INDEX ix_webhook_outbox_endpoint_id_receipt_id ON webhook_outbox (endpoint_id, receipt_id)",
)

_RULES = (
    """
    CREATE TRIGGER webhook_endpoint_sends_where_it_was_added_for BEFORE UPDATE ON webhook_endpoint
    WHEN NEW.endpoint_id <> OLD.endpoint_id OR NEW.recipient_id <> OLD.recipient_id OR NEW.url <> OLD.url
        OR NEW.kinds <> OLD.kinds OR NEW.allow_private <> OLD.allow_private OR NEW.added_at <> OLD.added_at
        OR NEW.number < OLD.number
    BEGIN SELECT RAISE(ABORT, 'volens: an endpoint is added, rotated or disabled, never changed'); END
    """,
    """
    CREATE TRIGGER webhook_endpoint_stays BEFORE DELETE ON webhook_endpoint
    BEGIN SELECT RAISE(ABORT, 'volens: an endpoint stays on record'); END
    """,
    """
    CREATE TRIGGER webhook_outbox_says_what_it_said BEFORE UPDATE ON webhook_outbox
    WHEN NEW.message_id <> OLD.message_id OR NEW.endpoint_id <> OLD.endpoint_id OR NEW.receipt_id <> OLD.receipt_id
        OR NEW.kind <> OLD.kind OR NEW.body <> OLD.body
    BEGIN SELECT RAISE(ABORT, 'volens: a message is delivered or put off, never changed'); END
    """,
    """
    CREATE TRIGGER webhook_outbox_tells_of_the_living_only BEFORE INSERT ON webhook_outbox
    WHEN NEW.kind IN ('consent.given', 'door.decision')
        AND NOT EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = NEW.receipt_id)
    BEGIN SELECT RAISE(ABORT, 'volens: no live consent'); END
    """,
    """
    CREATE TRIGGER live_consent_ends_with_what_was_to_be_told_of_it AFTER DELETE ON live_consent
    BEGIN
        DELETE FROM webhook_outbox
        WHERE receipt_id = OLD.receipt_id AND kind IN ('consent.given', 'door.decision');
    END
    """,
)


def upgrade() -> None:
    """Make the tables, and the triggers that keep them."""
    for statement in (*_TABLES, *_RULES):
        op.execute(statement)
