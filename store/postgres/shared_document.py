"""A small document in the keyring's database that all nodes of a site read and replace.

It is written in a transaction of its own, also while another connection of the same process holds the write lock: the
wrapped form of a new root key must be durable before the keyring is wrapped with it.
"""

from typing import final

from sqlalchemy import insert, select, update

from volens.store.postgres.database_url import DatabaseUrl
from volens.store.postgres.postgres_connections import one_transaction
from volens.store.schema.keyring_tables import shared_document


@final
class SharedDocument:
    """One document, by its name."""

    def __init__(self, url: DatabaseUrl, name: str) -> None:
        self._url = url
        self._name = name

    def read(self) -> bytes | None:
        """Return it; None if it was never written.

        Raises:
            UnavailableError: the server does not answer.
        """
        with one_transaction(self._url) as connection:
            found = connection.scalar(select(shared_document.c.content).where(shared_document.c.name == self._name))
        return None if found is None else str(found).encode()

    def write(self, data: bytes) -> None:
        """Replace it, durably.

        Raises:
            UnavailableError: the server does not answer.
        """
        table, content = shared_document, data.decode()
        with one_transaction(self._url, "BEGIN") as connection:
            changed = connection.execute(update(table).where(table.c.name == self._name).values(content=content))
            if not changed.rowcount:
                connection.execute(insert(table).values(name=self._name, content=content))
