"""Alembic revisions, one line for each file: `data` and `keyring`. Run by `volens.store.sqlite.migrator`."""
