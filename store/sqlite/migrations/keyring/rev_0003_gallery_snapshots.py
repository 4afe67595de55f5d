"""The keys of gallery snapshots."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. One snapshot for each zone and model; the row goes with the next erasure."""
    op.execute("""
        CREATE TABLE gallery_snapshot (
            purpose TEXT NOT NULL,
            model_id TEXT NOT NULL,
            name TEXT NOT NULL CHECK (length(name) = 32),
            epoch INTEGER NOT NULL,
            log_size INTEGER NOT NULL CHECK (log_size >= 1),
            log_root BLOB NOT NULL CHECK (length(log_root) = 32),
            parts INTEGER NOT NULL CHECK (parts >= 1),
            wrapped BLOB NOT NULL CHECK (length(wrapped) = 61),
            PRIMARY KEY (purpose, model_id)
        ) STRICT
    """)
