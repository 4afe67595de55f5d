"""What upgrades a schema from one revision to the next: one function for each revision after the baseline.

The revisions are those of `volens.store.schema.schema_lines`. A step runs in the transaction of the upgrade, as the
role that owns the tables. What the newest leaves must be what a new schema has
(`volens.store.postgres.postgres_catalogue`). So it makes a table anew if a column is dropped or is to stand between
others; a column may be added after the last one. An expansion (`volens.store.rollout`) adds such columns, tables and
rules, and nothing else.
"""

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection

SchemaStep = Callable[[Connection, str], None]
"""Gets a connection, and the name of the schema, which is the first in its search path."""

STEPS: Final[Mapping[str, Mapping[str, SchemaStep]]] = {"data": {}, "keyring": {}}
"""By line of the schema and revision."""
