"""Baseline revision of the data file: a new file is created as of the newest revision, so there is nothing to do."""

revision = "baseline"
down_revision = None
branch_labels = None
depends_on = None
