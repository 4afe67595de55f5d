"""What a restored data file is brought level with, and the next store key while a rotation is under way."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# INSERT OR REPLACE skips delete triggers, hence the first rule of each.
_RULES = [
    """
    CREATE TRIGGER log_leaf_is_appended BEFORE INSERT ON log_leaf
    WHEN NEW.seq <> (SELECT COALESCE(MAX(seq) + 1, 0) FROM log_leaf)
    BEGIN SELECT RAISE(ABORT, 'volens: the log only grows'); END
    """,
    """
    CREATE TRIGGER ended_consent_is_not_replaced BEFORE INSERT ON ended_consent
    WHEN EXISTS (SELECT 1 FROM ended_consent WHERE receipt_id = NEW.receipt_id)
    BEGIN SELECT RAISE(ABORT, 'volens: an end is remembered once'); END
    """,
]
_RULES += [
    f"""
    CREATE TRIGGER {table}_is_not_{done} BEFORE {event} ON {table}
    BEGIN SELECT RAISE(ABORT, 'volens: what is remembered is never changed or deleted'); END
    """
    for table in ("log_leaf", "ended_consent")
    for event, done in (("UPDATE", "changed"), ("DELETE", "deleted"))
]


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
            wrapped BLOB NOT NULL,
            new_root INTEGER NOT NULL CHECK (new_root IN (0, 1)),
            begun_at TEXT NOT NULL
        ) STRICT
    """)
    op.execute("""
        CREATE TABLE rotation (
            epoch INTEGER PRIMARY KEY NOT NULL CHECK (epoch >= 2),
            new_root INTEGER NOT NULL CHECK (new_root IN (0, 1)),
            rotated_at TEXT NOT NULL,
            scrubbed INTEGER NOT NULL CHECK (scrubbed IN (0, 1))
        ) STRICT
    """)
    op.execute("""
        CREATE TABLE rotation_schedule (
            only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1),
            every_days INTEGER NOT NULL CHECK (every_days BETWEEN 1 AND 1098)
        ) STRICT
    """)
    op.execute("INSERT INTO rotation_schedule VALUES (1, 90)")
    for rule in _RULES:
        op.execute(rule)
