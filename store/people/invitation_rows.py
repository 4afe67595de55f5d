"""Rows of invitations in the data file: sealed name, keyed hash of the external id, state.

1. The token's check is HMAC-SHA256 under a key of the keyring, over the id and the number of the link. Nothing of the
   token is stored, and a newer link makes the older ones useless.
2. An invitation ends with its use, a refusal, a cancellation, or the sweep after its expiry. Then name and hash are
   deleted. A refused one is deleted whole; the others keep zone, state and times for `KEPT_AFTER_END`, so that the
   holder of the link reads what became of it.
3. How many were sent, used, refused, cancelled and expired is counted from the audit log, by zone and day.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import Connection, delete, insert, select, update

from volens.consent import Purpose, TamperError
from volens.consent.invitation import (
    CHECK_BYTES,
    InvitationEndedError,
    InvitationState,
    InvitationToken,
    UnknownInvitationError,
)
from volens.consent.typed_text import comparison_key
from volens.store.keys import sealing
from volens.store.keys.keyring import Keyring
from volens.store.log.audit_log import entries_about_no_person
from volens.store.log.remembrance import INVITATION_PRUNED, INVITATION_REFUSED
from volens.store.people.external_ids import external_digest
from volens.store.row_seals import SealedRows, seals_of
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import external_id
from volens.store.schema.data_tables import invitation as table
from volens.store.store import Store
from volens.store.transaction import Transaction

KEPT_AFTER_END: Final = timedelta(days=30)
SENT: Final = "invitation.sent"
SENT_AGAIN: Final = "invitation.sent_again"
LISTED: Final = "invitation.listed"
_EVENTS: Final = {
    SENT: "sent",
    "invitation.used": "used",
    INVITATION_REFUSED: "refused",
    "invitation.cancelled": "cancelled",
    "invitation.expired": "expired",
}
_ERASED: Final[Mapping[str, None]] = {"external_digest": None, "sealed_name": None}


@final
@dataclass(frozen=True, slots=True)
class StoredInvitation:
    """An invitation whose row was verified.

    Attributes:
        number: of the newest link, from 1 on.
        external_digest, sealed_name: None once it has ended.
        valid_days, valid_until: the term of the consent, or its end; both None for the zone's retention.
        invited_by: the id of the credential, or ``command line``.
        ended_at: None while it is open, also after `expires_at` until the sweep.
    """

    invitation_id: str
    purpose: Purpose
    state: InvitationState
    number: int
    external_digest: bytes | None
    sealed_name: bytes | None
    language: str
    jurisdiction: str
    valid_days: int | None
    valid_until: datetime | None
    invited_by: str
    invited_at: datetime
    expires_at: datetime
    ended_at: datetime | None

    @classmethod
    def _of(cls, rows: SealedRows) -> "StoredInvitation":
        row = rows.records(table)[0]
        state, purpose = InvitationState(row["state"]), Purpose(row["purpose"])
        return cls(**row | {"state": state, "purpose": purpose})

    def state_at(self, now: datetime) -> InvitationState:
        """Return the state at a time: an open one expires by the clock, before the sweep."""
        is_over = self.state is InvitationState.OPEN and self.expires_at <= now
        return InvitationState.EXPIRED if is_over else self.state

    def name(self, keyring: Keyring) -> str | None:
        """Open the name; None once it has ended. The buffer is zeroed.

        Raises:
            TamperError: it does not open.
        """
        if self.sealed_name is None:
            return None
        name = bytearray(max(0, len(self.sealed_name) - sealing.OVERHEAD_BYTES))
        try:
            with keyring.derived_key("invitation names") as key:
                sealing.open_into(self.sealed_name, key, _name_context(self.invitation_id, self.purpose), name)
            return name.decode("utf-8").rstrip("\0")
        finally:
            name[:] = bytes(len(name))

    def token(self, keyring: Keyring) -> InvitationToken:
        """Return the token of the newest link."""
        return InvitationToken(self.invitation_id, _check(keyring, self.invitation_id, self.number))


@final
@dataclass(frozen=True, slots=True)
class InvitationCount:
    """How many invitations of a zone were sent, used, refused, cancelled or expired on a day (UTC)."""

    purpose: str
    day: str
    event: str
    count: int


def add_invitations(
    tx: Transaction, keyring: Keyring, people: Iterable[tuple[str, Mapping[str, Any]]]
) -> list[StoredInvitation]:
    """Add open invitations, each with its name and the columns that the caller has checked; return them."""
    rows = []
    with keyring.derived_key("invitation names") as key:
        for name, columns in people:
            invitation_id = tx.random(16).hex()
            context = _name_context(invitation_id, columns["purpose"])
            box = sealing.seal(sealing.padded(name), key, context, tx.random)
            rows.append({**columns, "invitation_id": invitation_id, "state": "open", "number": 1, "sealed_name": box})
    if not rows:
        return []
    ids = [str(row["invitation_id"]) for row in rows]
    with tx.changing(Scope.INVITATION, ids):
        tx.connection.execute(insert(table), rows)
        sent = [{"zone": r["purpose"], "invited_by": r["invited_by"], "language": r["language"]} for r in rows]
        tx.log_all(SENT, sent)
    return list(invitations(tx.connection, ids).values())


def invitations(connection: Connection, ids: Iterable[str]) -> dict[str, StoredInvitation]:
    """Return those of the invitations that have a row, verified.

    Raises:
        TamperError: a row was changed by another program.
    """
    rows = seals_of(connection).verified(connection, Scope.INVITATION, ids)
    return {one: StoredInvitation._of(its) for one, its in rows.items()}  # noqa: SLF001  of this module


def invitation_ids(
    connection: Connection, *, purpose: Purpose | None = None, state: InvitationState | None = None
) -> list[str]:
    """Return the ids of the invitations that have a row, by expiry."""
    query = select(table.c.invitation_id).order_by(table.c.expires_at, table.c.invitation_id)
    if purpose is not None:
        query = query.where(table.c.purpose == purpose)
    if state is not None:
        query = query.where(table.c.state == state.value)
    return list(connection.scalars(query))


def invitation_for(connection: Connection, token: InvitationToken, now: datetime) -> StoredInvitation:
    """Return the open invitation of a token.

    Raises:
        UnknownInvitationError: there is none with this token, or it was refused.
        InvitationEndedError: it was used, cancelled, replaced by a newer link, or has expired.
        TamperError: its row was changed by another program.
    """
    keyring = seals_of(connection).keyring
    found = invitations(connection, [token.invitation_id]).get(token.invitation_id)
    numbers = range(1 if found is None else found.number, 0, -1)
    number = next((one for one in numbers if token.is_checked_by(_check(keyring, token.invitation_id, one))), None)
    if found is None or number is None:
        raise UnknownInvitationError
    if number < found.number and found.state is InvitationState.OPEN:
        raise InvitationEndedError(InvitationState.CANCELLED)
    if (state := found.state_at(now)) is not InvitationState.OPEN:
        raise InvitationEndedError(state)
    return found


def open_with_digest(connection: Connection, purpose: Purpose, digest: bytes) -> StoredInvitation | None:
    """Return the open invitation to a zone that is for an external id, by its keyed hash; None if there is none."""
    query = select(table.c.invitation_id).where(table.c.purpose == purpose, table.c.external_digest == digest)
    found = list(invitations(connection, connection.scalars(query).all()).values())
    return found[0] if found else None


def renew_link(tx: Transaction, one: StoredInvitation, expires_at: datetime) -> StoredInvitation:
    """Give an open invitation a new link and a new expiry; the older links open nothing any more."""
    values = {"number": one.number + 1, "expires_at": expires_at}
    with tx.changing(Scope.INVITATION, [one.invitation_id]):
        tx.connection.execute(update(table).where(table.c.invitation_id == one.invitation_id).values(values))
        tx.log(SENT_AGAIN, {"zone": one.purpose})
    return invitations(tx.connection, [one.invitation_id])[one.invitation_id]


def end_invitations(tx: Transaction, ended: Iterable[StoredInvitation], state: InvitationState) -> None:
    """End open invitations as used, cancelled or expired: name and hash of the external id are deleted."""
    zones = {one.invitation_id: one.purpose for one in ended}
    if not zones:
        return
    values = {**_ERASED, "state": state.value, "ended_at": tx.now}
    with tx.changing(Scope.INVITATION, zones):
        for one in zones:
            tx.connection.execute(update(table).where(table.c.invitation_id == one).values(values))
        tx.log_all(f"invitation.{state.value}", [{"zone": purpose} for purpose in zones.values()])


def refuse_invitation(tx: Transaction, one: StoredInvitation) -> None:
    """Delete an invitation whose person said no. The log has the zone and the time, and nothing about the person."""
    _delete(tx, [one.invitation_id])
    tx.log(INVITATION_REFUSED, {"zone": one.purpose})


def cancel_invitations(tx: Transaction, which: Callable[[StoredInvitation], bool]) -> None:
    """Cancel the open invitations that `which` selects, because no one may be asked any more.

    An open one whose row does not verify is deleted, whichever it is: it opens nothing, and must not stop an order.
    """
    opened = invitation_ids(tx.connection, state=InvitationState.OPEN)
    genuine, broken = _inspected(tx, opened)
    end_invitations(tx, [one for one in genuine if which(one)], InvitationState.CANCELLED)
    _prune(tx, broken)


def prune_invitations(tx: Transaction) -> None:
    """End the invitations that have expired, and delete what was kept of older ones. Called by the sweep.

    The row of an expired one that does not verify is deleted whole.
    """
    ids = table.c.invitation_id
    expired = tx.connection.scalars(select(ids).where(table.c.state == "open", table.c.expires_at <= tx.now)).all()
    genuine, broken = _inspected(tx, expired)
    end_invitations(tx, genuine, InvitationState.EXPIRED)
    _prune(tx, [*tx.connection.scalars(select(ids).where(table.c.ended_at <= tx.now - KEPT_AFTER_END)), *broken])


def _inspected(tx: Transaction, ids: Sequence[str]) -> tuple[list[StoredInvitation], list[str]]:
    """Return the invitations whose rows verify, and the ids of the others."""
    rows = seals_of(tx.connection).inspected(tx.connection, Scope.INVITATION, ids)
    genuine = [StoredInvitation._of(one) for one in rows.values() if isinstance(one, SealedRows)]  # noqa: SLF001
    return genuine, [one for one, its in rows.items() if isinstance(its, TamperError)]


def _prune(tx: Transaction, ids: Sequence[str]) -> None:
    if ids:
        _delete(tx, ids)
        tx.log(INVITATION_PRUNED, {"invitations": len(ids)})


def invitations_about(store: Store, text: str) -> list[StoredInvitation]:
    """Return the open invitations of a person: by a link or its token, an external id, or the name.

    For the answer to an access request. Cost: the name of each open invitation is opened.

    Raises:
        TamperError: a row was changed by another program.
    """
    now, wanted = store.now(), comparison_key(text)
    with store.read() as connection:
        try:
            return [invitation_for(connection, InvitationToken.parse(text), now)]
        except (UnknownInvitationError, InvitationEndedError):
            ids = invitation_ids(connection, state=InvitationState.OPEN)
        found = invitations(connection, ids).values()
    digests = {one: external_digest(store.keyring, one, text) for one in {its.purpose for its in found}}
    return [
        one
        for one in found
        if one.external_digest == digests[one.purpose] or comparison_key(one.name(store.keyring) or "") == wanted
    ]


def invitations_linked(connection: Connection, receipt_ids: Iterable[str]) -> list[StoredInvitation]:
    """Return the open invitations that are for the external id of one of these consents.

    Raises:
        TamperError: a row was changed by another program.
    """
    linked = external_id.c
    rows = connection.execute(
        select(linked.purpose, linked.digest).where(linked.receipt_id.in_(list(receipt_ids)))
    ).all()
    found = (open_with_digest(connection, Purpose(row.purpose), row.digest) for row in rows)
    return [one for one in found if one is not None]


def count_invitations(connection: Connection, purpose: Purpose | None = None) -> list[InvitationCount]:
    """Return how many invitations were sent, used, refused, cancelled and expired, by zone and day.

    Cost: reads all entries of the log that are about no person.
    """
    counts = Counter(
        (str(one.details["zone"]), f"{one.at:%Y-%m-%d}", _EVENTS[one.kind])
        for one in entries_about_no_person(connection)
        if one.kind in _EVENTS and purpose in {None, one.details["zone"]}
    )
    return [InvitationCount(*key, count) for key, count in sorted(counts.items())]


def _delete(tx: Transaction, ids: Iterable[str]) -> None:
    gone = list(ids)
    tx.ending(Scope.INVITATION, gone)
    tx.connection.execute(delete(table).where(table.c.invitation_id.in_(gone)))


def _check(keyring: Keyring, invitation_id: str, number: int) -> bytes:
    message = sealing.context("invitation token", invitation_id, str(number))
    with keyring.derived_key("invitation tokens") as key:
        return hmac.digest(key.buffer, message, "sha256")[:CHECK_BYTES]


def _name_context(invitation_id: str, purpose: str) -> bytes:
    return sealing.context("invitation name", invitation_id, purpose)
