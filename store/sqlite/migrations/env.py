"""Alembic's entry point: migrate over the connection that the store passes in, in the store's own transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
context.run_migrations()
