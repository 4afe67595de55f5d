"""Senders: programs that may send revocations by webhook, and the keys they sign with.

A sender either shares a secret with the site, or has its own key, of which the site stores the public half. A shared
secret is derived from the site's signing key when it is needed, and is not stored (`Keyring.derived_key`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from sqlalchemy import func, insert, select, update

from volens.consent import InputError, Purpose, UnknownError, parse_purpose
from volens.store.keys.secrets import DerivedKey
from volens.store.promises.label_bounds import DEFAULT_GRACE_HOURS, MAX_GRACE_HOURS, check_within, plain_label
from volens.store.promises.zones_and_notices import zone_of
from volens.store.row_seals import SealedRows
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import webhook_sender, webhook_sender_key
from volens.store.store import Store
from volens.store.transaction import Transaction

_ID_BYTES: Final = 8


@final
@dataclass(frozen=True, slots=True)
class Sender:
    """A program that may send revocations. The fields are the columns of the table, in their order.

    Attributes:
        zone: the only zone whose consents it may end; None for all.
        ended_at: None while it may send.
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
        number: from 1; each rotation adds one.
        public_key: 32 bytes, Ed25519; None if the site and the sender share a secret.
        expires_at: None until a rotation replaces it.
    """

    sender: Sender
    number: int
    public_key: bytes | None
    expires_at: datetime | None


@final
class Senders:
    """Adds, rotates and removes the senders of a site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, *, label: str, zone: str | None = None, public_key: bytes | None = None) -> SenderKey:
        """Add a sender, which may send revocations from now on; return its first key.

        `zone` is the only zone whose consents it may end; None for all. `public_key` is 32 bytes, if the sender signs
        with its own key.

        Raises:
            InputError: there is no such zone, or the label is not valid.
        """
        plain = plain_label(label)
        purpose = None if zone is None else parse_purpose(zone)
        with self._store.write() as tx:
            if purpose is not None:
                zone_of(tx.connection, purpose)
            sender = Sender(tx.random(_ID_BYTES).hex(), plain, purpose, tx.now, None)
            details = {"sender": sender.sender_id, "signs": "v1" if public_key is None else "v1a"}
            values = {"sender_id": sender.sender_id, "label": plain, "purpose": purpose, "added_at": tx.now}
            with tx.changing(Scope.SENDER, [sender.sender_id]):
                tx.connection.execute(insert(webhook_sender), values)
                tx.log("sender.added", details if purpose is None else details | {"zone": purpose})
                return _add_key(tx, sender, 1, public_key)

    def rotate(
        self, sender_id: str, *, public_key: bytes | None = None, grace_hours: int = DEFAULT_GRACE_HOURS
    ) -> SenderKey:
        """Give a sender a new key. The older ones stay valid for `grace_hours`, 0 to `MAX_GRACE_HOURS`.

        Raises:
            InputError: there is no such sender, or it was ended, or the hours are out of range.
        """
        check_within(grace_hours, 0, MAX_GRACE_HOURS)
        with self._store.write() as tx:
            sender = _known(tx, sender_id)
            if sender.ended_at is not None:
                raise InputError("this sender was ended; add a new one")
            until, row = tx.now + timedelta(hours=grace_hours), webhook_sender_key
            with tx.changing(Scope.SENDER, [sender_id]):
                tx.connection.execute(
                    update(row)
                    .where(row.c.sender_id == sender_id, (row.c.expires_at.is_(None)) | (row.c.expires_at > until))
                    .values(expires_at=until)
                )
                newest = tx.connection.scalar(select(func.max(row.c.number)).where(row.c.sender_id == sender_id)) or 0
                tx.log("sender.rotated", {"sender": sender_id, "number": newest + 1})
                return _add_key(tx, sender, newest + 1, public_key)

    def end(self, sender_id: str) -> None:
        """Accept no more messages of a sender. A repeated call changes nothing.

        Raises:
            InputError: there is no such sender.
        """
        with self._store.write() as tx:
            if _known(tx, sender_id).ended_at is None:
                row = webhook_sender
                with tx.changing(Scope.SENDER, [sender_id]):
                    tx.connection.execute(update(row).where(row.c.sender_id == sender_id).values(ended_at=tx.now))
                    tx.log("sender.ended", {"sender": sender_id})

    def list(self, *, all_of_them: bool = False) -> list[Sender]:
        """Return the senders by label; with `all_of_them`, ended ones too."""
        with self._store.read() as connection:
            rows = connection.execute(select(webhook_sender).order_by(webhook_sender.c.label)).all()
        return [Sender(*row) for row in rows if all_of_them or row.ended_at is None]

    def keys_in_force(self) -> Sequence[SenderKey]:
        """Return the keys that are valid now, of all senders that were not ended.

        A sender whose rows do not verify has none: it is closed, and the others are not.
        """
        now, key = self._store.now(), webhook_sender_key.c
        query = select(webhook_sender, key.number, key.public_key, key.expires_at).join_from(
            webhook_sender, webhook_sender_key
        )
        with self._store.read() as connection:
            rows = connection.execute(query.where(webhook_sender.c.ended_at.is_(None)).order_by(key.number)).all()
            verified = self._store.seals.inspected(connection, Scope.SENDER, [row.sender_id for row in rows])
        found = [
            SenderKey(Sender(*row[:-3]), *row[-3:])
            for row in rows
            if isinstance(verified.get(row.sender_id), SealedRows)
        ]
        return [one for one in found if one.expires_at is None or one.expires_at > now]

    def secret(self, key: SenderKey) -> DerivedKey:
        """Return the secret that a sender shares with the site; the caller wipes it."""
        return self._store.keyring.derived_key(f"webhook sender|{key.sender.sender_id}|{key.number}")


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
    return Sender(*row)
