"""The first tables of the keyring."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.execute("""
        CREATE TABLE keyring (
            site_id TEXT PRIMARY KEY NOT NULL,
            epoch INTEGER NOT NULL CHECK (epoch >= 1),
            wrapped_store_key BLOB NOT NULL,
            wrapped_signing_key BLOB NOT NULL,
            log_size INTEGER NOT NULL CHECK (log_size >= 0),
            log_root BLOB NOT NULL CHECK (length(log_root) = 32)
        ) STRICT
    """)
    op.execute("""
        CREATE TABLE grant_secret (
            receipt_id TEXT PRIMARY KEY NOT NULL CHECK (length(receipt_id) = 32),
            epoch INTEGER NOT NULL CHECK (epoch >= 1),
            wrapped BLOB NOT NULL,
            created_at TEXT NOT NULL
        ) STRICT
    """)
