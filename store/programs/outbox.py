"""Messages for recipients, written in the transaction that does what they tell of, and kept until they are delivered.

At least once, and in order for each person and endpoint: a message waits until the ones before it about the same
person were delivered or given up. Whoever delivers claims a message for a while, so that several processes can, and one
that is killed keeps nothing back. Messages about a consent in force are dropped when it ends; that it ended is told.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, update

from volens.consent import InputError, Purpose, ReceiptId, format_time
from volens.store.people.consents import stored_receipts
from volens.store.programs.endpoints import OF_THE_LIVING, Endpoint, MessageKind, all_endpoints
from volens.store.programs.recipients import recipients_to_tell
from volens.store.schema.data_tables import live_consent
from volens.store.schema.schema_outbox import webhook_endpoint
from volens.store.schema.schema_outbox import webhook_outbox as table
from volens.store.store import Store, Transaction

CLAIMED_FOR: Final = timedelta(seconds=60)
TOLD_AGAIN: Final = timedelta(seconds=10)
"""Who was told of at a door so recently is still passing, whichever process they are seen by."""

PER_ENDPOINT: Final = 2
"""How many messages are under way to one endpoint at once."""

_ID_BYTES: Final = 16


@final
@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way.

    Attributes:
        message_id: the same at every attempt.
        first_at: from when on it is tried.
        attempts: that failed.
        last_problem: why the last attempt failed, in a few words; None before.
        dead_at: when it was given up; None while it is tried.
    """

    message_id: str
    endpoint: Endpoint
    receipt_id: ReceiptId
    kind: MessageKind
    body: bytes
    first_at: datetime
    due_at: datetime
    attempts: int
    last_problem: str | None
    dead_at: datetime | None


@final
@dataclass(frozen=True, slots=True)
class OutboxState:
    """How many messages wait and how many were given up; and since when the oldest is due, None if none is."""

    waiting: int
    dead: int
    oldest_due_at: datetime | None


def tell(tx: Transaction, kind: MessageKind, facts: Mapping[ReceiptId, Mapping[str, str]]) -> None:
    """Put a message about each of some consents into the outbox, for every endpoint that wants it.

    Thin: ids, times and reasons, never a name. Who received data under a consent is told that it ended, also if they
    receive no more since.
    """
    endpoints = [one for one in all_endpoints(tx.connection) if one.disabled_at is None and kind in one.kinds]
    if not endpoints or not facts:
        return
    receipts = stored_receipts(tx.connection, facts)
    told = recipients_to_tell(tx.connection, {one: Purpose(its.purpose) for one, its in receipts.items()})
    rows = []
    for one, receipt in receipts.items():
        may = {who.recipient_id for who in told[one] if kind not in OF_THE_LIVING or who.removed_at is None}
        data = {"zone": receipt.purpose, "receipt_id": one, "subject_id": receipt.subject_id, **facts[one]}
        document = {"type": kind.value, "timestamp": format_time(tx.now), "data": data}
        body = json.dumps(document, separators=(",", ":"), sort_keys=True)
        rows += [
            {
                "message_id": f"msg_{tx.random(_ID_BYTES).hex()}",
                "endpoint_id": endpoint.endpoint_id,
                "receipt_id": one,
                "kind": kind.value,
                "body": body,
                "first_at": tx.now,
                "due_at": tx.now,
                "attempts": 0,
            }
            for endpoint in endpoints
            if endpoint.recipient_id in may
        ]
    if rows:
        tx.connection.execute(insert(table), rows)


@final
class Outbox:
    """What is to be delivered, and what came of it."""

    def __init__(self, store: Store) -> None:
        """Work on an open store."""
        self._store = store

    def now(self) -> datetime:
        """Return the time by which messages are due."""
        return self._store.now()

    def decided(self, receipt_ids: Sequence[ReceiptId]) -> None:
        """Tell that people were known at a door, those whose consent is in force and who were not told of just now.

        Raises:
            UnavailableError: the store cannot be written just now; nobody is told.
        """
        with self._store.write(wait=False) as tx:
            live = live_consent.c.receipt_id
            told = exists().where(
                table.c.receipt_id == live,
                table.c.kind == MessageKind.DOOR_DECISION.value,
                table.c.first_at > tx.now - TOLD_AGAIN,
            )
            found = tx.connection.scalars(select(live).where(live.in_(list(receipt_ids)), ~told)).all()
            tell(tx, MessageKind.DOOR_DECISION, {ReceiptId(one): {"decision": "match"} for one in found})

    def claim(self, most: int) -> list[Message]:
        """Return messages that are due, at most so many, and keep them from others for `CLAIMED_FOR`."""
        now = self._store.now()
        with self._store.read() as connection:
            if connection.scalar(select(table.c.seq).where(or_(and_(*_due(now)), _is_past(now))).limit(1)) is None:
                return []
        with self._store.write() as tx:
            tx.connection.execute(delete(table).where(_is_past(now)))
            under_way = Counter(
                tx.connection.scalars(select(table.c.endpoint_id).where(table.c.claimed_until > now)).all()
            )
            endpoints = {one.endpoint_id: one for one in all_endpoints(tx.connection)}
            taken: list[Message] = []
            # More than are wanted, for some may be of endpoints that are busy.
            for row in tx.connection.execute(_ordered().where(*_due(now)).limit(most * 16)):
                if len(taken) < most and under_way[row.endpoint_id] < PER_ENDPOINT:
                    under_way[row.endpoint_id] += 1
                    taken.append(_message(row, endpoints))
            ids = [one.message_id for one in taken]
            tx.connection.execute(
                update(table).where(table.c.message_id.in_(ids)).values(claimed_until=now + CLAIMED_FOR)
            )
            return taken

    def delivered(self, message: Message) -> None:
        """Forget a message that was delivered; a decision at a door not before it may be told again."""
        which = table.c.message_id == message.message_id
        with self._store.write() as tx:
            if message.kind is MessageKind.DOOR_DECISION:
                tx.connection.execute(update(table).where(which).values(delivered_at=tx.now, claimed_until=None))
            else:
                tx.connection.execute(delete(table).where(which))

    def failed(self, message: Message, problem: str, again_at: datetime | None) -> None:
        """Put a message off, or give it up where there is no time to try it again."""
        with self._store.write() as tx:
            tx.connection.execute(
                update(table)
                .where(table.c.message_id == message.message_id)
                .values(
                    attempts=message.attempts + 1,
                    last_problem=problem,
                    claimed_until=None,
                    due_at=again_at or message.due_at,
                    dead_at=tx.now if again_at is None else None,
                )
            )
            if again_at is None:
                tx.log("message.given_up", {"endpoint": message.endpoint.endpoint_id, "kind": message.kind.value})

    def list(self, *, dead: bool | None = None) -> list[Message]:
        """Return the messages that are not delivered, the oldest first; on request only those (not) given up."""
        with self._store.read() as connection:
            endpoints = {one.endpoint_id: one for one in all_endpoints(connection)}
            found = [
                _message(row, endpoints) for row in connection.execute(_ordered().where(table.c.delivered_at.is_(None)))
            ]
        return [one for one in found if dead is None or (one.dead_at is not None) == dead]

    def redeliver(self, message_id: str | None = None) -> int:
        """Try a message that was given up again from the beginning, or all of them; return how many.

        Raises:
            InputError: no message of this id was given up.
        """
        with self._store.write() as tx:
            which: list[ColumnElement[bool]] = [table.c.dead_at.is_not(None)]
            if message_id is not None:
                which.append(table.c.message_id == message_id)
            done = tx.connection.execute(
                update(table).where(*which).values(dead_at=None, attempts=0, first_at=tx.now, due_at=tx.now)
            ).rowcount
        if message_id is not None and not done:
            raise InputError("no message of this id was given up; 'volens webhook outbox' shows them")
        return done

    def state(self) -> OutboxState:
        """Return how it stands, in numbers."""
        dead = table.c.dead_at
        with self._store.read() as connection:
            waiting, given_up = (
                connection.scalar(select(func.count()).where(one, table.c.delivered_at.is_(None))) or 0
                for one in (dead.is_(None), dead.is_not(None))
            )
            oldest = connection.scalar(select(func.min(table.c.due_at)).where(*_due(self._store.now())))
        return OutboxState(waiting, given_up, oldest)

    def wanted(self, zone: Purpose, kind: MessageKind) -> bool:
        """Tell whether any endpoint of a zone wants such messages."""
        with self._store.read() as connection:
            found = all_endpoints(connection)
        return any(one.zone == zone and kind in one.kinds and one.disabled_at is None for one in found)


def _due(now: datetime) -> list[ColumnElement[bool]]:
    earlier = table.alias("earlier")
    enabled = select(webhook_endpoint.c.endpoint_id).where(webhook_endpoint.c.disabled_at.is_(None))
    return [
        table.c.dead_at.is_(None),
        table.c.delivered_at.is_(None),
        table.c.due_at <= now,
        or_(table.c.claimed_until.is_(None), table.c.claimed_until <= now),
        table.c.endpoint_id.in_(enabled),
        ~exists().where(
            earlier.c.endpoint_id == table.c.endpoint_id,
            earlier.c.receipt_id == table.c.receipt_id,
            earlier.c.seq < table.c.seq,
            earlier.c.dead_at.is_(None),
            earlier.c.delivered_at.is_(None),
        ),
    ]


def _is_past(now: datetime) -> ColumnElement[bool]:
    return and_(table.c.delivered_at.is_not(None), table.c.first_at <= now - TOLD_AGAIN)


def _ordered() -> Any:  # noqa: ANN401  SQLAlchemy's select has no narrower type that two versions share
    return select(table).order_by(table.c.due_at, table.c.seq)


def _message(row: Any, endpoints: Mapping[str, Endpoint]) -> Message:  # noqa: ANN401  as above
    return Message(
        row.message_id,
        endpoints[row.endpoint_id],
        ReceiptId(row.receipt_id),
        MessageKind(row.kind),
        row.body.encode("utf-8"),
        row.first_at,
        row.due_at,
        row.attempts,
        row.last_problem,
        row.dead_at,
    )
