"""Recipients of a zone's data (GDPR 13(1)(e)), and their acknowledgements of erasures (GDPR 19).

A recipient is added and removed, never changed, because certificates name it. Webhooks to recipients are in
`volens.store.programs.endpoints` and `volens.store.programs.outbox`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from sqlalchemy import Connection, insert, select, update

from volens.consent import InputError, Purpose, ReceiptId, RefusedError, UnverifiedReceipt
from volens.consent.errors import DamagedDataError
from volens.consent.typed_text import parse_text, same_text
from volens.store.promises.zones_and_notices import zone_of
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

MAX_TEXT_LENGTH: Final = 200
_ID_BYTES: Final = 16
_recipient = tables.recipient.c
_acknowledgement = tables.acknowledgement.c


@final
@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient of a zone's data. The fields are the columns of the table, in their order.

    Attributes:
        public_key: 32 bytes, Ed25519, which verifies its acknowledgements of erasures; None if it does not sign.
        removed_at: None while it receives data.
    """

    recipient_id: str
    zone: Purpose
    name: str
    contact: str
    public_key: bytes | None
    added_at: datetime
    removed_at: datetime | None


def add_recipient(tx: Transaction, zone: Purpose, name: str, contact: str, public_key: bytes | None) -> Recipient:
    """Add a recipient, which receives data of a zone from now on.

    Raises:
        InputError: there is no such zone, or name or contact is not valid.
        RefusedError: there is, or was, a recipient of this name, which certificates may contain.
    """
    zone_of(tx.connection, zone)
    name, contact = (parse_text(text, "a name or contact", MAX_TEXT_LENGTH) for text in (name, contact))
    if any(same_text(one.name, name) for one in recipients_of(tx.connection, zone, removed=True)):
        raise RefusedError(
            "this zone has, or had, a recipient of this name, and certificates name it; use another name"
        )
    recipient_id = tx.random(_ID_BYTES).hex()
    with tx.changing(Scope.ZONE, [zone]):
        tx.connection.execute(
            insert(tables.recipient).values(
                recipient_id=recipient_id,
                purpose=zone,
                name=name,
                contact=contact,
                public_key=public_key,
                added_at=tx.now,
            )
        )
        tx.log("recipient.added", {"recipient_id": recipient_id, "zone": zone, "recipient": name})
    return recipient_named(tx.connection, zone, name)


def remove_recipient(tx: Transaction, zone: Purpose, name: str) -> Recipient:
    """Remove a recipient. It is still notified of erasures of people whose data it received.

    Raises:
        InputError: there is no such recipient.
    """
    found = recipient_named(tx.connection, zone, name)
    if found.removed_at is not None:
        raise InputError("this recipient was removed before; nothing was changed")
    with tx.changing(Scope.ZONE, [zone]):
        tx.connection.execute(
            update(tables.recipient).where(_recipient.recipient_id == found.recipient_id).values(removed_at=tx.now)
        )
        tx.log("recipient.removed", {"recipient_id": found.recipient_id, "zone": zone, "recipient": found.name})
    return recipient_named(tx.connection, zone, name)


def recipients_of(connection: Connection, zone: Purpose, *, removed: bool = False) -> list[Recipient]:
    """Return the recipients of a zone, by name; with `removed`, former ones too.

    Not checked: the rows, because an erasure names the recipients too; `recipient_named` verifies them.
    """
    query = select(tables.recipient).where(_recipient.purpose == zone).order_by(_recipient.name)
    rows = connection.execute(query if removed else query.where(_recipient.removed_at.is_(None)))
    return [Recipient(*row) for row in rows]


def verified_recipients(connection: Connection, zone: Purpose) -> list[Recipient]:
    """Return the present recipients of a zone, by name, for what people sign or are told.

    Raises:
        TamperError: the rows of the zone do not verify, or there is no such zone.
    """
    rows = seals_of(connection).cached(connection, Scope.ZONE, zone)
    if rows is None:
        raise DamagedDataError(f"zone {zone!r} has no rows")
    found = [Recipient(*row.values()) for row in rows.records(tables.recipient) if row["removed_at"] is None]
    return sorted(found, key=lambda one: one.name)


def recipient_named(connection: Connection, zone: Purpose, name: str) -> Recipient:
    """Return a recipient, present or past.

    Raises:
        InputError: the zone never had one of this name.
        TamperError: the rows of the zone do not verify.
    """
    seals_of(connection).verified(connection, Scope.ZONE, [zone])
    for one in recipients_of(connection, zone, removed=True):
        if same_text(one.name, name):
            return one
    raise InputError("this zone has no recipient of this name; 'volens recipient list' shows them")


def recipients_to_notify(
    connection: Connection, zones: Mapping[ReceiptId, Purpose]
) -> dict[ReceiptId, list[Recipient]]:
    """Return for each consent the recipients that may have data under it: all of its zone, unless removed earlier."""
    known = {zone: recipients_of(connection, zone, removed=True) for zone in set(zones.values())}
    found: dict[ReceiptId, list[Recipient]] = {}
    for receipt_id, zone in zones.items():
        here = known[zone]
        if any(one.removed_at is not None for one in here):
            since = _given_at(connection, receipt_id)
            here = [one for one in here if one.removed_at is None or since is None or one.removed_at >= since]
        found[receipt_id] = here
    return found


def add_acknowledgement(
    tx: Transaction, receipt_id: ReceiptId, recipient: Recipient, token: str, details: Mapping[str, str | int]
) -> None:
    """Record the acknowledgement of a recipient that it erased the data too, once.

    Raises:
        RefusedError: it acknowledged this erasure before.
    """
    same = select(_acknowledgement.token).where(
        _acknowledgement.receipt_id == receipt_id, _acknowledgement.recipient_id == recipient.recipient_id
    )
    if tx.connection.scalar(same) is not None:
        raise RefusedError("this recipient acknowledged this erasure before; nothing was changed")
    tx.connection.execute(
        insert(tables.acknowledgement).values(
            receipt_id=receipt_id, recipient_id=recipient.recipient_id, token=token, acknowledged_at=tx.now
        )
    )
    tx.log("erasure.acknowledged", details)


def acknowledgements_of(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, list[str]]:
    """Return the acknowledgements of these erasures in the order received; only erasures that have any."""
    rows = connection.execute(
        select(_acknowledgement.receipt_id, _acknowledgement.token)
        .where(_acknowledgement.receipt_id.in_(receipt_ids))
        .order_by(_acknowledgement.acknowledged_at, _acknowledgement.recipient_id)
    )
    found: dict[ReceiptId, list[str]] = {}
    for row in rows:
        found.setdefault(ReceiptId(row.receipt_id), []).append(row.token)
    return found


def _given_at(connection: Connection, receipt_id: ReceiptId) -> datetime | None:
    token = connection.scalar(select(tables.receipt.c.token).where(tables.receipt.c.receipt_id == receipt_id))
    try:
        return UnverifiedReceipt.parse(str(token).encode("utf-8")).claims.issued_at
    except InputError:
        return None  # a damaged receipt: then notify one recipient too many
