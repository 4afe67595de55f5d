"""Answers that are kept for a day so that what is asked for twice is done once, and jobs that take long."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"

_TABLES = (
    f"""
    CREATE TABLE kept_answer (
        key_sha256 BLOB PRIMARY KEY NOT NULL CHECK (length(key_sha256) = 32),
        request_sha256 BLOB NOT NULL CHECK (length(request_sha256) = 32),
        begun_at TEXT NOT NULL CHECK (begun_at {_TIME}),
        sealed_answer BLOB,
        receipt_id TEXT,
        subject_id TEXT,
        purpose TEXT,
        FOREIGN KEY (receipt_id, subject_id, purpose)
            REFERENCES live_consent (receipt_id, subject_id, purpose) ON DELETE CASCADE,
        CHECK ((receipt_id IS NULL) = (subject_id IS NULL) AND (receipt_id IS NULL) = (purpose IS NULL)),
        CHECK (receipt_id IS NULL OR sealed_answer IS NOT NULL)
    ) STRICT
    """,
    "CREATE INDEX ix_kept_answer_receipt_id ON kept_answer (receipt_id)",
    f"""
    CREATE TABLE job (
        seq INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
        job_id TEXT NOT NULL UNIQUE CHECK (length(job_id) = 32),
        kind TEXT NOT NULL CHECK (kind IN ('sweep', 'verify_log', 'erase')),
        credential_id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
        done INTEGER NOT NULL CHECK (done >= 0),
        total INTEGER NOT NULL CHECK (total >= 0),
        outcome TEXT,
        begun_at TEXT NOT NULL CHECK (begun_at {_TIME}),
        seen_at TEXT NOT NULL CHECK (seen_at {_TIME}),
        CHECK ((state = 'running') = (outcome IS NULL))
    ) STRICT
    """,
)

_RULES = (
    """
    CREATE TRIGGER kept_answer_is_of_a_live_consent BEFORE UPDATE ON kept_answer
    WHEN NEW.receipt_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM live_consent AS live
        WHERE live.receipt_id = NEW.receipt_id AND live.subject_id = NEW.subject_id AND live.purpose = NEW.purpose
    )
    BEGIN SELECT RAISE(ABORT, 'volens: no live consent'); END
    """,
    """
    CREATE TRIGGER kept_answer_is_kept_once BEFORE UPDATE ON kept_answer
    WHEN OLD.sealed_answer IS NOT NULL OR NEW.key_sha256 <> OLD.key_sha256
    BEGIN SELECT RAISE(ABORT, 'volens: an answer is kept once, never changed'); END
    """,
    """
    CREATE TRIGGER kept_answer_begins_empty BEFORE INSERT ON kept_answer
    WHEN NEW.sealed_answer IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'volens: an answer is kept after what it answers was begun'); END
    """,
    """
    CREATE TRIGGER live_consent_ends_with_answers_about_it AFTER DELETE ON live_consent
    BEGIN DELETE FROM kept_answer WHERE receipt_id = OLD.receipt_id; END
    """,
    """
    CREATE TRIGGER job_ends_once BEFORE UPDATE ON job
    WHEN NEW.job_id <> OLD.job_id OR NEW.kind <> OLD.kind OR NEW.credential_id <> OLD.credential_id
        OR NEW.begun_at <> OLD.begun_at OR OLD.state <> 'running'
    BEGIN SELECT RAISE(ABORT, 'volens: a job goes on until it ends, and is never another'); END
    """,
)


def upgrade() -> None:
    """Make the tables, and the triggers that keep them."""
    for statement in (*_TABLES, *_RULES):
        op.execute(statement)
