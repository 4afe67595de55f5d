"""Which door saw somebody pass, and openings of the log that end by themselves."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"

_TABLES = (
    "ALTER TABLE passage ADD COLUMN asked_by TEXT",
    f"""
    CREATE TABLE opening_term (
        seq INTEGER PRIMARY KEY NOT NULL REFERENCES audit_opening (seq) ON DELETE CASCADE,
        ends_at TEXT NOT NULL CHECK (ends_at {_TIME})
    ) STRICT
    """,
    "CREATE INDEX ix_opening_term_ends_at ON opening_term (ends_at)",
)

_RULES = (
    """
    CREATE TRIGGER opening_term_is_never_changed BEFORE UPDATE ON opening_term
    BEGIN SELECT RAISE(ABORT, 'volens: an opening ends when it was to end'); END
    """,
    """
    CREATE TRIGGER opening_term_stays_with_its_opening BEFORE DELETE ON opening_term
    WHEN EXISTS (SELECT 1 FROM audit_opening WHERE seq = OLD.seq)
    BEGIN SELECT RAISE(ABORT, 'volens: an opening ends when it was to end'); END
    """,
    # SQLite's foreign keys are off on every new connection, so the rule is stated a second time.
    """
    CREATE TRIGGER audit_opening_goes_with_its_term AFTER DELETE ON audit_opening
    BEGIN DELETE FROM opening_term WHERE seq = OLD.seq; END
    """,
)


def upgrade() -> None:
    """Make the column and the table, and the triggers that keep it."""
    for statement in (*_TABLES, *_RULES):
        op.execute(statement)
