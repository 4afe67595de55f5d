"""Who may tell the site by webhook that a consent is over: senders, the keys they sign with, and what they sent.

A sender either shares a secret with the site, or has a key of its own whose public half the site keeps. A shared
secret is derived from the site's signing key when it is needed, and kept nowhere (`Keyring.derived_key`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, final

from sqlalchemy import delete, func, insert, select, update

from volens.consent import InputError, Purpose, UnknownError, parse_purpose
from volens.store.keys.secrets import DerivedKey
from volens.store.promises.label_bounds import DEFAULT_GRACE_HOURS, MAX_GRACE_HOURS, check_within, plain_label
from volens.store.promises.zones_and_notices import zone_of
from volens.store.schema.schema_senders import webhook_message, webhook_sender, webhook_sender_key
from volens.store.store import Store, Transaction

REMEMBERED_DAYS: Final = 30
"""How long a message is remembered, to be carried out once. Senders give up much earlier."""

_ID_BYTES: Final = 8


@final
@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody who may send revocations.

    Attributes:
        zone: the only one whose consents it may end; None for all.
        ended_at: None while it may.
    """

    sender_id: str
    label: str
    zone: Purpose | None
    added_at: datetime
    ended_at: datetime | None


@final
@dataclass(frozen=True, slots=True)
class SenderKey:
    """One key of a sender.

    Attributes:
        number: from 1, one more with each rotation.
        public_key: 32 bytes, Ed25519; None where the site and the sender share a secret.
        expires_at: None until another key takes its place.
    """

    sender: Sender
    number: int
    public_key: bytes | None
    expires_at: datetime | None


@final
class Senders:
    """Adds, rotates, ends and knows the senders of a site."""

    def __init__(self, store: Store) -> None:
        """Work on an open store."""
        self._store = store

    def add(self, *, label: str, zone: str | None = None, public_key: bytes | None = None) -> SenderKey:
        """Let somebody send revocations from now on; return the first key.

        Args:
            label: which program, see `volens.store.promises.label_bounds`.
            zone: the only one that it may speak about; without it, all.
            public_key: 32 bytes, if the sender signs with a key of its own.

        Raises:
            InputError: no such zone, or a label that does not print.
        """
        plain = plain_label(label.strip())
        purpose = None if zone is None else parse_purpose(zone)
        with self._store.write() as tx:
            if purpose is not None:
                zone_of(tx.connection, purpose)
            sender = Sender(tx.random(_ID_BYTES).hex(), plain, purpose, tx.now, None)
            tx.connection.execute(
                insert(webhook_sender).values(sender_id=sender.sender_id, label=plain, purpose=purpose, added_at=tx.now)
            )
            details = {"sender": sender.sender_id, "signs": "v1" if public_key is None else "v1a"}
            tx.log("sender.added", details if purpose is None else details | {"zone": purpose})
            return _add_key(tx, sender, 1, public_key)

    def rotate(
        self, sender_id: str, *, public_key: bytes | None = None, grace_hours: int = DEFAULT_GRACE_HOURS
    ) -> SenderKey:
        """Give a sender another key; the older ones are good for `grace_hours` more, 0 to `MAX_GRACE_HOURS`.

        Raises:
            InputError: there is no such sender, or it was ended, or the hours are out of range.
        """
        check_within(grace_hours, 0, MAX_GRACE_HOURS)
        with self._store.write() as tx:
            sender = _known(tx, sender_id)
            if sender.ended_at is not None:
                raise InputError("this sender was ended; add a new one")
            until, row = tx.now + timedelta(hours=grace_hours), webhook_sender_key
            tx.connection.execute(
                update(row)
                .where(row.c.sender_id == sender_id, (row.c.expires_at.is_(None)) | (row.c.expires_at > until))
                .values(expires_at=until)
            )
            newest = tx.connection.scalar(select(func.max(row.c.number)).where(row.c.sender_id == sender_id)) or 0
            tx.log("sender.rotated", {"sender": sender_id, "number": newest + 1})
            return _add_key(tx, sender, newest + 1, public_key)

    def end(self, sender_id: str) -> None:
        """Believe a sender nothing more. Doing it twice does no harm.

        Raises:
            InputError: there never was such a sender.
        """
        with self._store.write() as tx:
            if _known(tx, sender_id).ended_at is None:
                row = webhook_sender
                tx.connection.execute(update(row).where(row.c.sender_id == sender_id).values(ended_at=tx.now))
                tx.log("sender.ended", {"sender": sender_id})

    def list(self, *, all_of_them: bool = False) -> list[Sender]:
        """Return the senders by label; on request also those that were ended."""
        with self._store.read() as connection:
            rows = connection.execute(select(webhook_sender).order_by(webhook_sender.c.label)).all()
        return [one for one in map(_sender, rows) if all_of_them or one.ended_at is None]

    def now(self) -> datetime:
        """Return the time by which messages are judged."""
        return self._store.now()

    def keys_in_force(self) -> Sequence[SenderKey]:
        """Return the keys that are good now, of all senders that were not ended."""
        now, key = self._store.now(), webhook_sender_key.c
        query = select(webhook_sender, key.number, key.public_key, key.expires_at).join_from(
            webhook_sender, webhook_sender_key
        )
        with self._store.read() as connection:
            rows = connection.execute(query.where(webhook_sender.c.ended_at.is_(None)).order_by(key.number)).all()
        found = [SenderKey(_sender(row), row.number, row.public_key, row.expires_at) for row in rows]
        return [one for one in found if one.expires_at is None or one.expires_at > now]

    def secret(self, key: SenderKey) -> DerivedKey:
        """Return the secret that a sender shares with the site; the caller wipes it."""
        return self._store.keyring.derived_key(f"webhook sender|{key.sender.sender_id}|{key.number}")

    def knows(self, sender: Sender, message_id: str) -> bool:
        """Tell whether a message was carried out before."""
        row = webhook_message.c
        with self._store.read() as connection:
            query = select(row.received_at).where(
                row.sender_id == sender.sender_id, row.message_sha256 == _digest(message_id)
            )
            return connection.scalar(query) is not None

    def note(self, sender: Sender, message_id: str, kind: str, consents: int) -> None:
        """Remember a message for `REMEMBERED_DAYS`, and log how many consents it ended."""
        row = webhook_message
        with self._store.write() as tx:
            tx.connection.execute(delete(row).where(row.c.received_at < tx.now - timedelta(days=REMEMBERED_DAYS)))
            tx.connection.execute(
                insert(row)
                .prefix_with("OR IGNORE")
                .values(sender_id=sender.sender_id, message_sha256=_digest(message_id), received_at=tx.now)
            )
            tx.log("revocation.received", {"sender": sender.sender_id, "kind": kind, "consents": consents})


def _digest(message_id: str) -> bytes:
    return sha256(message_id.encode("utf-8")).digest()


def _add_key(tx: Transaction, sender: Sender, number: int, public_key: bytes | None) -> SenderKey:
    tx.connection.execute(
        insert(webhook_sender_key).values(
            sender_id=sender.sender_id, number=number, public_key=public_key, added_at=tx.now
        )
    )
    return SenderKey(sender, number, public_key, None)


def _known(tx: Transaction, sender_id: str) -> Sender:
    row = tx.connection.execute(select(webhook_sender).where(webhook_sender.c.sender_id == sender_id)).one_or_none()
    if row is None:
        raise UnknownError("there is no sender of this id; 'volens sender list' shows them")
    return _sender(row)


def _sender(row: Any) -> Sender:  # noqa: ANN401  SQLAlchemy's row has no narrower type
    zone = None if row.purpose is None else Purpose(row.purpose)
    return Sender(row.sender_id, row.label, zone, row.added_at, row.ended_at)
