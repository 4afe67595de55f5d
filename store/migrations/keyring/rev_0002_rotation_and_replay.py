"""What a restored data file is brought level with, and the next store key while a rotation is under way."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.execute("""
        CREATE TABLE log_leaf (
            seq INTEGER PRIMARY KEY NOT NULL,
            leaf BLOB NOT NULL
        ) STRICT
    """)
    op.execute("""
        CREATE TABLE ended_consent (
            receipt_id TEXT PRIMARY KEY NOT NULL CHECK (length(receipt_id) = 32),
            reason TEXT NOT NULL,
            ended_at TEXT NOT NULL
        ) STRICT
    """)
    op.execute("""
        CREATE TABLE next_store_key (
            epoch INTEGER PRIMARY KEY NOT NULL CHECK (epoch >= 2),
            wrapped BLOB NOT NULL
        ) STRICT
    """)
