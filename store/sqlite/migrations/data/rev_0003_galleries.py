"""References are found by zone and model, as a gallery asks for them."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make one index in the place of another."""
    op.execute("DROP INDEX ix_biometric_reference_purpose")
    op.execute("CREATE INDEX ix_biometric_reference_purpose_model_id ON biometric_reference (purpose, model_id)")
