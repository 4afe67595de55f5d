"""Credentials of the programs that ask over the network."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"

_TABLE = f"""
CREATE TABLE api_credential (
    credential_id TEXT PRIMARY KEY NOT NULL,
    label TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('door', 'desk', 'auditor', 'privacy_officer', 'operator')),
    purpose TEXT REFERENCES zone (purpose),
    secret_sha256 BLOB NOT NULL UNIQUE CHECK (length(secret_sha256) = 32),
    issued_at TEXT NOT NULL CHECK (issued_at {_TIME}),
    expires_at TEXT NOT NULL CHECK (expires_at {_TIME}),
    ended_at TEXT CHECK (ended_at {_TIME}),
    CHECK ((role = 'door' AND purpose IS NOT NULL) OR role = 'desk' OR (role <> 'door' AND purpose IS NULL))
) STRICT
"""

_TRIGGERS = (
    """
    CREATE TRIGGER api_credential_is_only_shortened BEFORE UPDATE ON api_credential
    WHEN NEW.credential_id <> OLD.credential_id OR NEW.label <> OLD.label OR NEW.role <> OLD.role
        OR NEW.purpose IS NOT OLD.purpose OR NEW.secret_sha256 <> OLD.secret_sha256
        OR NEW.issued_at <> OLD.issued_at OR NEW.expires_at > OLD.expires_at OR OLD.ended_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'volens: a credential is issued, shortened or ended, never changed'); END
    """,
    """
    CREATE TRIGGER api_credential_stays BEFORE DELETE ON api_credential
    BEGIN SELECT RAISE(ABORT, 'volens: a credential stays on record'); END
    """,
)


def upgrade() -> None:
    """Make the table, and the triggers that keep it."""
    for statement in (_TABLE, *_TRIGGERS):
        op.execute(statement)
