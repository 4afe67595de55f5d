"""What a zone asks for besides the face, and what tells each person's badge number or PIN again."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = "GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z'"

_TABLES = (
    """
    ALTER TABLE zone ADD COLUMN second_factor TEXT NOT NULL DEFAULT 'none'
        CHECK (second_factor IN ('none', 'badge', 'pin') AND (second_factor = 'none' OR custody = 'operator'))
    """,
    f"""
    CREATE TABLE second_factor (
        receipt_id TEXT NOT NULL,
        subject_id TEXT NOT NULL,
        purpose TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('badge', 'pin')),
        lookup BLOB CHECK (length(lookup) = 33),
        salt BLOB CHECK (length(salt) = 16),
        verifier BLOB NOT NULL CHECK (length(verifier) = 33),
        set_at TEXT NOT NULL CHECK (set_at {_TIME}),
        failures INTEGER NOT NULL DEFAULT 0 CHECK (failures BETWEEN 0 AND 5),
        tried_at TEXT CHECK (tried_at {_TIME}),
        PRIMARY KEY (receipt_id),
        FOREIGN KEY (receipt_id, subject_id, purpose)
            REFERENCES live_consent (receipt_id, subject_id, purpose) ON DELETE CASCADE,
        UNIQUE (purpose, lookup),
        CHECK ((kind = 'badge') = (lookup IS NOT NULL) AND (kind = 'pin') = (salt IS NOT NULL))
    ) STRICT
    """,
)

_RULES = (
    """
    CREATE TRIGGER zone_has_a_second_factor_in_operator_custody_only BEFORE INSERT ON zone
    WHEN NEW.second_factor <> 'none' AND NEW.custody <> 'operator'
    BEGIN SELECT RAISE(ABORT, 'volens: where the person carries the key there is no second factor'); END
    """,
    """
    CREATE TRIGGER second_factor_needs_live_consent BEFORE INSERT ON second_factor
    WHEN NOT EXISTS (
        SELECT 1 FROM live_consent AS live
        WHERE live.receipt_id = NEW.receipt_id AND live.subject_id = NEW.subject_id AND live.purpose = NEW.purpose
    )
    BEGIN SELECT RAISE(ABORT, 'volens: no live consent'); END
    """,
    """
    CREATE TRIGGER second_factor_is_what_the_zone_asks_for BEFORE INSERT ON second_factor
    WHEN NEW.kind IS NOT (SELECT second_factor FROM zone WHERE purpose = NEW.purpose)
    BEGIN SELECT RAISE(ABORT, 'volens: the zone asks for another second factor, or for none'); END
    """,
    """
    CREATE TRIGGER second_factor_is_set_anew_never_changed BEFORE UPDATE ON second_factor
    WHEN NEW.receipt_id <> OLD.receipt_id OR NEW.subject_id <> OLD.subject_id OR NEW.purpose <> OLD.purpose
        OR NEW.kind <> OLD.kind OR NEW.lookup IS NOT OLD.lookup OR NEW.salt IS NOT OLD.salt
        OR NEW.verifier <> OLD.verifier OR NEW.set_at <> OLD.set_at
    BEGIN SELECT RAISE(ABORT, 'volens: a second factor is set anew or removed, never changed'); END
    """,
    """
    CREATE TRIGGER second_factor_is_tried_five_times_and_then_locked BEFORE UPDATE ON second_factor
    WHEN NEW.failures NOT BETWEEN 0 AND 5 OR (NEW.tried_at IS NULL AND OLD.tried_at IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'volens: no more tries of a PIN are looked at now'); END
    """,
    """
    CREATE TRIGGER live_consent_ends_with_its_second_factor AFTER DELETE ON live_consent
    BEGIN DELETE FROM second_factor WHERE receipt_id = OLD.receipt_id; END
    """,
)


def upgrade() -> None:
    """Add the column, make the table, and the triggers that keep them."""
    for statement in (*_TABLES, *_RULES):
        op.execute(statement)
