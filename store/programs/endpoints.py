"""Webhook endpoints of recipients: the address, the kinds of messages, and the secret that signs them.

The secret is derived from the site's signing key when it is needed, and is not stored (`Keyring.derived_key`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, final

from sqlalchemy import Connection, insert, select, update

from volens.consent import InputError, Purpose, UnknownError, parse_purpose
from volens.store.keys.secrets import DerivedKey
from volens.store.promises.label_bounds import DEFAULT_GRACE_HOURS, MAX_GRACE_HOURS, check_within
from volens.store.promises.recipients import recipient_named
from volens.store.row_seals import SealedRows, seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import webhook_endpoint as table
from volens.store.schema.program_tables import MESSAGES_OF_LIVE_CONSENT
from volens.store.store import Store
from volens.store.transaction import Transaction

MAX_URL_LENGTH: Final = 2000
_ID_BYTES: Final = 8


class MessageKind(StrEnum):
    """The kinds of webhook messages that recipients can get."""

    CONSENT_GIVEN = "consent.given"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_RESTRICTED = "consent.restricted"
    CONSENT_RESUMED = "consent.resumed"
    SUBJECT_ERASED = "subject.erased"
    DOOR_DECISION = "door.decision"
    """A person matched at a door. It traces where people go, so it is sent only if the endpoint requests it."""


USUAL_KINDS: Final = frozenset(MessageKind) - {MessageKind.DOOR_DECISION}
WHILE_IN_FORCE: Final = frozenset(MessageKind(one) for one in MESSAGES_OF_LIVE_CONSENT)
"""Messages that are dropped if the consent ends before they are delivered."""


@final
@dataclass(frozen=True, slots=True)
class Endpoint:
    """One webhook endpoint.

    Attributes:
        allow_private: whether the address may be on this machine or in a private network.
        number: of the secret, from 1; each rotation adds one.
        previous_until: until when the previous secret signs too.
        disabled_why: why it is disabled; None while it is enabled.
    """

    endpoint_id: str
    recipient_id: str
    recipient: str
    zone: Purpose
    url: str
    kinds: frozenset[MessageKind]
    allow_private: bool
    number: int
    previous_until: datetime | None
    added_at: datetime
    disabled_at: datetime | None
    disabled_why: str | None


@final
class Endpoints:
    """Adds, rotates, disables and lists the endpoints of a site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        zone: str,
        recipient: str,
        *,
        url: str,
        kinds: Iterable[MessageKind] = USUAL_KINDS,
        allow_private: bool = False,
    ) -> Endpoint:
        """Add an endpoint: the recipient gets messages from now on.

        Raises:
            InputError: the zone has no such recipient any more, no kind of message is given, or the URL is too long.

        Not checked: the address; it is checked at each delivery (`volens.service.webhooks.address_guard`).
        """
        wanted = frozenset(kinds)
        if not wanted or not 1 <= len(url) <= MAX_URL_LENGTH:
            raise InputError(
                f"got {len(wanted)} kinds of messages and an address of {len(url)} characters; expected one kind or "
                f"more, and at most {MAX_URL_LENGTH} characters"
            )
        purpose = parse_purpose(zone)
        with self._store.write() as tx:
            who = recipient_named(tx.connection, purpose, recipient)
            if who.removed_at is not None:
                raise InputError("this recipient was removed; add another one")
            endpoint_id = tx.random(_ID_BYTES).hex()
            kinds_text = " ".join(sorted(wanted))
            with tx.changing(Scope.ENDPOINT, [endpoint_id]):
                tx.connection.execute(
                    insert(table).values(
                        endpoint_id=endpoint_id,
                        recipient_id=who.recipient_id,
                        url=url,
                        kinds=kinds_text,
                        allow_private=int(allow_private),
                        number=1,
                        added_at=tx.now,
                    )
                )
                tx.log("endpoint.added", {"endpoint": endpoint_id, "zone": purpose, "kinds": kinds_text})
            return _known(tx, endpoint_id)

    def rotate(self, endpoint_id: str, *, grace_hours: int = DEFAULT_GRACE_HOURS) -> Endpoint:
        """Sign with a new secret. The old one signs too for `grace_hours`, 0 to `MAX_GRACE_HOURS`.

        Raises:
            InputError: there is no such endpoint, or the hours are out of range.
        """
        check_within(grace_hours, 0, MAX_GRACE_HOURS)
        with self._store.write() as tx:
            old = _known(tx, endpoint_id)
            until = tx.now + timedelta(hours=grace_hours)
            details: dict[str, str | int] = {"endpoint": endpoint_id, "number": old.number + 1}
            _change(tx, "endpoint.rotated", details, number=old.number + 1, previous_until=until)
            return _known(tx, endpoint_id)

    def disable(self, endpoint_id: str, why: str = "by the operator") -> Endpoint:
        """Stop sending to an endpoint; its messages wait. A repeated call changes nothing."""
        with self._store.write() as tx:
            if _known(tx, endpoint_id).disabled_at is None:
                details = {"endpoint": endpoint_id, "why": why}
                _change(tx, "endpoint.disabled", details, disabled_at=tx.now, disabled_why=why)
            return _known(tx, endpoint_id)

    def enable(self, endpoint_id: str) -> Endpoint:
        """Send to an endpoint again, waiting messages first. A repeated call changes nothing."""
        with self._store.write() as tx:
            if _known(tx, endpoint_id).disabled_at is not None:
                _change(tx, "endpoint.enabled", {"endpoint": endpoint_id}, disabled_at=None, disabled_why=None)
            return _known(tx, endpoint_id)

    def list(self, zone: str | None = None) -> list[Endpoint]:
        """Return the endpoints of a zone, or of all, in the order in which they were added."""
        wanted = None if zone is None else parse_purpose(zone)
        with self._store.read() as connection:
            return [one for one in all_endpoints(connection) if wanted in {None, one.zone}]

    def secrets(self, endpoint: Endpoint) -> Sequence[DerivedKey]:
        """Return the secrets that sign messages now, the newest first; the caller wipes them."""
        numbers = [endpoint.number]
        if endpoint.previous_until is not None and endpoint.previous_until > self._store.now():
            numbers.append(endpoint.number - 1)
        return [self._store.keyring.derived_key(f"webhook endpoint|{endpoint.endpoint_id}|{one}") for one in numbers]


def all_endpoints(connection: Connection) -> list[Endpoint]:
    """Return all endpoints, disabled ones too, in the order in which they were added.

    Not checked: their rows; see `verified_endpoints`.
    """
    return [_endpoint(row) for row in connection.execute(_ALL)]


def verified_endpoints(connection: Connection) -> list[Endpoint]:
    """Return the endpoints whose rows verify, their zones' too: to others nothing is sent, and nothing else stops."""
    found = all_endpoints(connection)
    seals = seals_of(connection)
    endpoints = seals.inspected(connection, Scope.ENDPOINT, [one.endpoint_id for one in found])
    zones = seals.inspected(connection, Scope.ZONE, [one.zone for one in found])
    return [
        one
        for one in found
        if isinstance(endpoints.get(one.endpoint_id), SealedRows) and isinstance(zones.get(one.zone), SealedRows)
    ]


_ALL: Final = (
    select(table, tables.recipient.c.name.label("recipient"), tables.recipient.c.purpose.label("zone"))
    .join_from(table, tables.recipient, tables.recipient.c.recipient_id == table.c.recipient_id)
    .order_by(table.c.added_at, table.c.endpoint_id)
)


def _change(tx: Transaction, event: str, details: Mapping[str, str | int], **values: object) -> None:
    endpoint_id = str(details["endpoint"])
    with tx.changing(Scope.ENDPOINT, [endpoint_id]):
        tx.connection.execute(update(table).where(table.c.endpoint_id == endpoint_id).values(**values))
        tx.log(event, details)


def _known(tx: Transaction, endpoint_id: str) -> Endpoint:
    row = tx.connection.execute(_ALL.where(table.c.endpoint_id == endpoint_id)).one_or_none()
    if row is None:
        raise UnknownError("there is no endpoint of this id; 'volens webhook list' shows them")
    return _endpoint(row)


def _endpoint(row: Any) -> Endpoint:  # noqa: ANN401  SQLAlchemy's row has no narrower type
    kinds = frozenset(MessageKind(one) for one in row.kinds.split())
    return Endpoint(**row._asdict() | {"kinds": kinds, "allow_private": bool(row.allow_private)})
