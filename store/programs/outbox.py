"""Transactional outbox: webhook messages, written with the change that they report, and kept until they are delivered.

Delivery is at least once, and in order for each person and endpoint: a message waits until the earlier ones about the
same person were delivered or given up. A process claims a message for a limited time (a lease), so several processes
can deliver, and one that is killed blocks nothing. Messages about a consent in force are dropped when it ends; the
message that it ended is still sent.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, func, insert, select, update

from volens.consent import Purpose, ReceiptId, UnknownError, format_time
from volens.store.people.consents import stored_receipts
from volens.store.people.visits import VISIT
from volens.store.prepared_query import InList, PreparedQuery, ReadSnapshot
from volens.store.programs.endpoints import WHILE_IN_FORCE, Endpoint, MessageKind, all_endpoints, verified_endpoints
from volens.store.promises.recipients import recipients_to_notify
from volens.store.schema.data_tables import live_consent, recipient, webhook_endpoint
from volens.store.schema.data_tables import webhook_outbox as table
from volens.store.store import Store
from volens.store.transaction import Transaction

CLAIMED_FOR: Final = timedelta(seconds=60)
PER_ENDPOINT: Final = 2
"""How many messages are sent to one endpoint at the same time."""

_ID_BYTES: Final = 16


@final
@dataclass(frozen=True, slots=True)
class Message:
    """A message to be delivered.

    Attributes:
        message_id: the same at every attempt.
        first_at: when it was enqueued, or enqueued again.
        attempts: how many failed.
        last_problem: why the last attempt failed, in a few words; None before the first failure.
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
    """How many messages wait and were given up, and since when the oldest one is due (None if none is)."""

    waiting: int
    dead: int
    oldest_due_at: datetime | None


def enqueue(tx: Transaction, kind: MessageKind, facts: Mapping[ReceiptId, Mapping[str, str]]) -> None:
    """Enqueue a message about each of some consents, for every endpoint that subscribes to this kind.

    A message holds ids, times and reasons, never a name. It also has the newest checkpoint, with which the recipient
    can show later how long the log was; so call this after the entry about the change was logged. A recipient that was
    removed still gets the message that a consent ended, if it received data under it.
    """
    if not facts:
        return
    endpoints = [one for one in verified_endpoints(tx.connection) if one.disabled_at is None and kind in one.kinds]
    if not endpoints:
        return
    receipts = stored_receipts(tx.connection, facts)
    recipients = recipients_to_notify(tx.connection, {one: Purpose(its.purpose) for one, its in receipts.items()})
    checkpoint = tx.newest_checkpoint()
    rows = []
    for one, receipt in receipts.items():
        allowed = {
            each.recipient_id for each in recipients[one] if kind not in WHILE_IN_FORCE or each.removed_at is None
        }
        data = {"zone": receipt.purpose, "receipt_id": one, "subject_id": receipt.subject_id, **facts[one]}
        document = {"type": kind.value, "timestamp": format_time(tx.now), "data": data, "checkpoint": checkpoint}
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
            if endpoint.recipient_id in allowed
        ]
    if rows:
        tx.connection.execute(insert(table), rows)


_DECISIONS_DUE: Final = PreparedQuery(
    select(live_consent.c.receipt_id).where(
        InList(live_consent.c.receipt_id, "receipt_ids"),
        exists().where(
            recipient.c.purpose == live_consent.c.purpose,
            recipient.c.removed_at.is_(None),
            webhook_endpoint.c.recipient_id == recipient.c.recipient_id,
            webhook_endpoint.c.disabled_at.is_(None),
            webhook_endpoint.c.kinds.contains(MessageKind.DOOR_DECISION.value),
        ),
        ~exists().where(
            table.c.receipt_id == live_consent.c.receipt_id,
            table.c.kind == MessageKind.DOOR_DECISION.value,
            table.c.first_at > bindparam("since"),
        ),
    )
)


def decisions_due(
    connection: Connection | ReadSnapshot, receipt_ids: Iterable[ReceiptId], now: datetime
) -> list[ReceiptId]:
    """Return the consents in force, of those that matched at a door, of which a `door.decision` message is missing.

    It is missing if an endpoint of the zone wants such messages, and none was enqueued within the last 10 s (`VISIT`)
    by any process.
    """
    rows = _DECISIONS_DUE.rows(connection, {"receipt_ids": list(receipt_ids), "since": format_time(now - VISIT)})
    return [ReceiptId(receipt_id) for (receipt_id,) in rows]


@final
class Outbox:
    """The outbox of a site: claims messages for delivery, and records the results."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def now(self) -> datetime:
        """Return the time by which messages are due."""
        return self._store.now()

    def claim(self, most: int) -> list[Message]:
        """Claim at most `most` messages that are due: no other process gets them for `CLAIMED_FOR`."""
        now = self._store.now()
        with self._store.read() as connection:
            if connection.scalar(select(table.c.seq).where(and_(*_due(now)) | _is_outdated(now)).limit(1)) is None:
                return []
        with self._store.write() as tx:
            tx.connection.execute(delete(table).where(_is_outdated(now)))
            in_flight = Counter(
                tx.connection.scalars(select(table.c.endpoint_id).where(table.c.claimed_until > now)).all()
            )
            endpoints = {one.endpoint_id: one for one in verified_endpoints(tx.connection)}
            claimed: list[Message] = []
            # More rows than requested, because some may be of busy endpoints.
            for row in tx.connection.execute(_ordered().where(*_due(now)).limit(most * 16)):
                is_free = row.endpoint_id in endpoints and in_flight[row.endpoint_id] < PER_ENDPOINT
                if len(claimed) < most and is_free:
                    in_flight[row.endpoint_id] += 1
                    claimed.append(_message(row, endpoints))
            ids = [one.message_id for one in claimed]
            tx.connection.execute(
                update(table).where(table.c.message_id.in_(ids)).values(claimed_until=now + CLAIMED_FOR)
            )
            return claimed

    def delivered(self, message: Message) -> None:
        """Delete a message that was delivered; a door decision is kept for `VISIT`, against repetition."""
        which = table.c.message_id == message.message_id
        with self._store.write() as tx:
            if message.kind is MessageKind.DOOR_DECISION:
                tx.connection.execute(update(table).where(which).values(delivered_at=tx.now, claimed_until=None))
            else:
                tx.connection.execute(delete(table).where(which))

    def failed(self, message: Message, problem: str, again_at: datetime | None) -> None:
        """Record a failed attempt: try the message again at `again_at`, or give it up if that is None."""
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
        """Return the messages that are not delivered, by due time; with `dead`, only those (not) given up."""
        with self._store.read() as connection:
            endpoints = {one.endpoint_id: one for one in all_endpoints(connection)}
            found = [
                _message(row, endpoints) for row in connection.execute(_ordered().where(table.c.delivered_at.is_(None)))
            ]
        return [one for one in found if dead is None or (one.dead_at is not None) == dead]

    def redeliver(self, message_id: str | None = None) -> int:
        """Enqueue all messages that were given up again, or retry one message now; return how many.

        One message may also be waiting for its next attempt, whose count of failures it keeps.

        Raises:
            UnknownError: no message of this id waits or was given up.
        """
        with self._store.write() as tx:
            again = {"dead_at": None, "attempts": 0, "first_at": tx.now, "due_at": tx.now}
            which: list[ColumnElement[bool]] = [table.c.dead_at.is_not(None)]
            if message_id is not None:
                which.append(table.c.message_id == message_id)
            done = tx.connection.execute(update(table).where(*which).values(again)).rowcount
            if message_id is not None and not done:
                is_waiting = (table.c.message_id == message_id, table.c.delivered_at.is_(None))
                done = tx.connection.execute(update(table).where(*is_waiting).values(due_at=tx.now)).rowcount
        if message_id is not None and not done:
            raise UnknownError("no message of this id waits for delivery; 'volens webhook outbox' shows them")
        return done

    def state(self) -> OutboxState:
        """Return the number of messages by state."""
        dead = table.c.dead_at
        with self._store.read() as connection:
            waiting, given_up = (
                connection.scalar(select(func.count()).where(one, table.c.delivered_at.is_(None))) or 0
                for one in (dead.is_(None), dead.is_not(None))
            )
            oldest = connection.scalar(select(func.min(table.c.due_at)).where(*_due(self._store.now())))
        return OutboxState(waiting, given_up, oldest)


def _due(now: datetime) -> list[ColumnElement[bool]]:
    earlier = table.alias("earlier")
    enabled = select(webhook_endpoint.c.endpoint_id).where(webhook_endpoint.c.disabled_at.is_(None))
    return [
        table.c.dead_at.is_(None),
        table.c.delivered_at.is_(None),
        table.c.due_at <= now,
        table.c.claimed_until.is_(None) | (table.c.claimed_until <= now),
        table.c.endpoint_id.in_(enabled),
        ~exists().where(
            earlier.c.endpoint_id == table.c.endpoint_id,
            earlier.c.receipt_id == table.c.receipt_id,
            earlier.c.seq < table.c.seq,
            earlier.c.dead_at.is_(None),
            earlier.c.delivered_at.is_(None),
        ),
    ]


def _is_outdated(now: datetime) -> ColumnElement[bool]:
    return table.c.delivered_at.is_not(None) & (table.c.first_at <= now - VISIT)


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
