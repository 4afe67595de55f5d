"""Which processes serve the site and how far they follow it; and when a decision at a door was delivered."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"


def upgrade() -> None:
    """Make a table, and add a column."""
    op.execute(
        f"""
        CREATE TABLE process (
            process_id TEXT PRIMARY KEY NOT NULL CHECK (length(process_id) = 16),
            started_at TEXT NOT NULL CHECK (started_at {_TIME}),
            seen_at TEXT NOT NULL CHECK (seen_at {_TIME} AND seen_at >= started_at),
            generation INTEGER NOT NULL CHECK (generation >= 0),
            galleries INTEGER NOT NULL CHECK (galleries >= 0)
        ) STRICT
        """
    )
    op.execute(
        """
        CREATE TRIGGER process_follows_and_never_goes_back BEFORE UPDATE ON process
        WHEN NEW.process_id <> OLD.process_id OR NEW.started_at <> OLD.started_at OR NEW.generation < OLD.generation
        BEGIN SELECT RAISE(ABORT, 'volens: a process follows the log, never back'); END
        """
    )
    op.execute(f"ALTER TABLE webhook_outbox ADD COLUMN delivered_at TEXT CHECK (delivered_at {_TIME})")
