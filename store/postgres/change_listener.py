"""LISTEN/NOTIFY: a database announces each commit that appended to the log, or that replaced the store key.

The announcement is made by a trigger, in the transaction itself, so PostgreSQL delivers it with the commit or not at
all. It is a wake-up without content: who misses one finds the change in the log (docs/adr/0086).
"""

from typing import Any, Final, final

import psycopg
from sqlalchemy import MetaData

from volens.store.postgres.postgres_errors import translated
from volens.store.postgres.postgres_triggers import Function, Trigger

ANNOUNCE: Final = "volens_announce"
_ANNOUNCED: Final = {"audit_event": "AFTER INSERT", "keyring": "AFTER UPDATE OF epoch"}


def announcements(metadata: MetaData) -> tuple[list[Function], list[Trigger]]:
    """Return the function and the triggers that announce commits on the channel of their schema."""
    tables = [name for name in _ANNOUNCED if name in metadata.tables]
    function = Function(ANNOUNCE, "\nBEGIN\nPERFORM pg_notify(TG_TABLE_SCHEMA, '');\nRETURN NULL;\nEND\n")
    triggers = [Trigger(one, f"{one}_is_announced", _ANNOUNCED[one], "STATEMENT", ANNOUNCE) for one in tables]
    return [function] if tables else [], triggers


@final
class PostgresSignal:
    """`ChangeSignal` over a connection that listens on the channel of a schema."""

    def __init__(self, name: str, schema: str, connection: psycopg.Connection[Any]) -> None:
        """Take over a connection outside transactions; `name` is what errors call the database."""
        self._name = name
        self._connection = connection
        try:
            with translated(name):
                connection.execute(f'LISTEN "{schema}"'.encode())
        except BaseException:
            connection.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self._connection.fileno()

    def drain(self) -> None:
        """Read the announcements that have arrived; UnavailableError if the connection is lost."""
        with translated(self._name):
            self._connection.pgconn.consume_input()
            while self._connection.pgconn.notifies() is not None:
                pass

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
