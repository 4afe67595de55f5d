"""The inbox: verified messages of senders, stored before they are answered and carried out afterwards, once each.

So the answer takes the same work for every message, whether or not it is about a person who is known here. What a
message asks for is sealed, because it can name a person who never gave consent, and is deleted when it was carried out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, final

from sqlalchemy import Connection, delete, func, insert, select, update

from volens.consent import TamperError
from volens.store.keys import sealing
from volens.store.keys.secrets import DerivedKey
from volens.store.programs.senders import Sender
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import webhook_message as table
from volens.store.schema.data_tables import webhook_sender
from volens.store.store import Store

REMEMBERED_DAYS: Final = 30
"""How long message ids are stored against replay. Senders stop retrying much earlier."""


@final
@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that was stored and is to be carried out.

    Attributes:
        request: what it asks for, as it was accepted.
        message_sha256: of the id that the sender gave it.
    """

    sender: Sender
    message_sha256: bytes
    request: bytes = field(repr=False)


@final
@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message as the data file has it."""

    sender: Sender
    message_sha256: bytes
    sealed_request: bytes = field(repr=False)


def received(sender: Sender, message_id: str, request: bytes) -> ReceivedMessage:
    """Return a message under the id that its sender gave it."""
    return ReceivedMessage(sender, sha256(message_id.encode("utf-8")).digest(), request)


@final
class Inbox:
    """Stores messages, and says which are still to be carried out."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def accept(self, sender: Sender, message_id: str, request: bytes) -> ReceivedMessage | None:
        """Store a message in one transaction, durably; None if it was received before (replay protection).

        It is remembered for `REMEMBERED_DAYS`, and longer if it was not carried out by then.

        Raises:
            UnavailableError: the store cannot be written; the sender must send the message again.
        """
        message = received(sender, message_id, request)
        return message if self.store(message) else None

    def store(self, message: ReceivedMessage) -> bool:
        """Do what `accept` does with a message; False if it was received before."""
        sender_id = message.sender.sender_id
        with self._store.write() as tx:
            old = tx.now - timedelta(days=REMEMBERED_DAYS)
            tx.connection.execute(delete(table).where(table.c.received_at < old, table.c.sealed_request.is_(None)))
            if tx.connection.scalar(select(table.c.received_at).where(_is(message))) is not None:
                return False
            with self._key() as key:
                sealed = sealing.seal(message.request, key, _context(sender_id, message.message_sha256), tx.random)
            values = {"sender_id": sender_id, "message_sha256": message.message_sha256}
            tx.connection.execute(insert(table), values | {"received_at": tx.now, "sealed_request": sealed})
        return True

    def pending(self) -> Sequence[SealedMessage]:
        """Return the messages that were not carried out yet, oldest first."""
        query = select(webhook_sender, table.c.message_sha256, table.c.sealed_request).join_from(table, webhook_sender)
        with self._store.read() as connection:
            rows = connection.execute(_pending(query).order_by(table.c.received_at)).all()
        return [SealedMessage(Sender(*row[:-2]), *row[-2:]) for row in rows]

    def open(self, message: SealedMessage) -> ReceivedMessage:
        """Open a message.

        Raises:
            TamperError: it was not sealed by this site for this sender and id, or the rows of the sender were changed.
        """
        with self._store.read() as connection:
            self._store.seals.verified(connection, Scope.SENDER, [message.sender.sender_id])
        request = bytearray(max(0, len(message.sealed_request) - sealing.OVERHEAD_BYTES))
        context = _context(message.sender.sender_id, message.message_sha256)
        try:
            with self._key() as key:
                sealing.open_into(message.sealed_request, key, context, request)
        except TamperError:
            raise self._store.seals.damaged(
                "a message of a sender that was not carried out yet does not open; ask the sender to send its messages "
                "again"
            ) from None
        return ReceivedMessage(message.sender, message.message_sha256, bytes(request))

    def is_pending(self, message: ReceivedMessage) -> bool:
        """Return whether a message was stored and is still to be carried out."""
        with self._store.read() as connection:
            return connection.scalar(_pending(select(table.c.received_at)).where(_is(message))) is not None

    def pending_since(self, connection: Connection) -> datetime | None:
        """Return when the oldest message was received that was not carried out yet; None if there is none."""
        since: datetime | None = connection.scalar(_pending(select(func.min(table.c.received_at))))
        return since

    def complete(self, message: ReceivedMessage, kind: str, consents: int) -> None:
        """Record that a message was carried out, and how many consents it ended; a repeated call changes nothing."""
        with self._store.write() as tx:
            done = tx.connection.execute(_pending(update(table)).where(_is(message)).values(sealed_request=None))
            if done.rowcount:
                tx.log(
                    "revocation.received",
                    {"sender": message.sender.sender_id, "kind": kind, "consents": consents},
                )

    def _key(self) -> DerivedKey:
        return self._store.keyring.derived_key("inbox of senders")


def _is(message: ReceivedMessage) -> Any:  # noqa: ANN401  a condition
    return (table.c.sender_id == message.sender.sender_id) & (table.c.message_sha256 == message.message_sha256)


def _pending(statement: Any) -> Any:  # noqa: ANN401  SQLAlchemy has no narrower type that queries and updates share
    return statement.where(table.c.sealed_request.is_not(None))


def _context(sender_id: str, message_sha256: bytes) -> bytes:
    return sealing.context("message of a sender", sender_id, message_sha256.hex())
