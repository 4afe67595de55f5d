"""Revocations of senders: a known program, such as a staff list, reports that a consent has ended.

A revocation ends what the person's own withdrawal would end, by the same procedure. An unknown id is not an error,
because nothing may tell the sender whether a person gave consent. So a message is stored and answered first
(`volens.store.programs.Inbox`), and carried out here afterwards. If it cannot be stored, or not be carried out, its
consents are stopped in memory, and it is retried (`volens.erase.pending_stops`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final, Self, final

import rfc8785
from sqlalchemy import Connection

from volens.consent import (
    DataSubjectId,
    EndReason,
    ErasureIncompleteError,
    InputError,
    ReceiptId,
    TamperError,
    UnavailableError,
    VolensError,
)
from volens.consent.json_reader import read_json
from volens.erase.pending_stops import PendingStops
from volens.erase.procedure import erase_consents
from volens.index import Installation
from volens.store.keys.keyring import Keyring
from volens.store.people import parse_external_id, stored_receipt
from volens.store.people.consents_in_force import live_receipts_of
from volens.store.people.external_ids import consent_linked
from volens.store.programs import Inbox, ReceivedMessage, Sender
from volens.store.promises import inspect_zones


class RevocationKind(StrEnum):
    """The kind of message."""

    REVOKED = "consent.revoked"
    """A consent was withdrawn: that of the receipt, or all that are linked to the external id."""
    TERMINATED = "employee.terminated"
    """The person has left: all their consents end."""


_REASONS: Final = {RevocationKind.REVOKED: EndReason.WITHDRAWN, RevocationKind.TERMINATED: EndReason.LEFT}


@final
@dataclass(frozen=True, slots=True)
class Revocation:
    """The content of a message: whose consent ends, by receipt id or by the sender's id of the person.

    Raises:
        InputError: both or neither are given, or the external id is not valid.
    """

    kind: RevocationKind
    receipt_id: ReceiptId | None = None
    external_id: str | None = None

    def __post_init__(self) -> None:
        """Check the ids."""
        if (self.receipt_id is None) == (self.external_id is None):
            raise InputError("got both or neither of receipt_id and external_id; send one of the two")
        if self.external_id is not None:
            parse_external_id(self.external_id)

    def to_json(self) -> bytes:
        """Return it as the inbox stores it."""
        return rfc8785.dumps(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote, out of a sealed box."""
        members = read_json(data)
        return cls(**members | {"kind": RevocationKind(members["kind"])})


def carry_out_revocation(installation: Installation, message: ReceivedMessage) -> list[ReceiptId]:
    """End the consents of a message in the inbox, and return them; the list may be empty.

    1. The consents are those of the person, in the zones that the sender may act on.
    2. They are stopped together, and no longer match from then on. Then the message is recorded as carried out.
    3. The rest of the erasure is carried out.

    If the process is killed before 2 is complete, the message is carried out again; consents that ended are left alone.
    Two processes may carry out one message at the same time.

    Raises:
        ErasureIncompleteError: matching has stopped; the sweep continues the erasure.
        UnavailableError: the store cannot be written; the message stays in the inbox.
    """
    store, inbox = installation.store, Inbox(installation.store)
    revocation = Revocation.from_json(message.request)
    # 1.
    with store.read() as connection:
        consents = _consents_of(connection, store.keyring, message.sender, revocation)

    def stopped() -> None:
        inbox.complete(message, revocation.kind.value, len(consents))

    if not consents:
        stopped()
        return []
    # 2. and 3.
    erase_consents(installation, consents, _REASONS[revocation.kind], when_stopped=stopped)
    return consents


def hold_revocation(stops: PendingStops, installation: Installation, message: ReceivedMessage, problem: str) -> None:
    """Stop the consents of a message in memory, and store the message and carry it out as soon as the store allows it.

    For a verified message that could not be stored or carried out; `problem` says why. It has the same effects, except
    on the consents, whether or not it is about a person who is known here.

    Raises:
        UnavailableError: the store cannot even be read, so the consents are not known. The message is retried.
    """
    store, inbox = installation.store, Inbox(installation.store)
    revocation = Revocation.from_json(message.request)

    def carry_out() -> None:
        inbox.store(message)
        if inbox.is_pending(message):  # the sender may have sent it again, and it was carried out
            carry_out_revocation(installation, message)

    def hold(consents: Sequence[ReceiptId]) -> None:
        key = f"message {message.message_sha256.hex()}"
        stops.hold(key, consents, _REASONS[revocation.kind], carry_out, problem)

    try:
        with store.read() as connection:
            consents = _consents_of(connection, store.keyring, message.sender, revocation)
    except UnavailableError:
        hold([])
        raise
    hold(consents)


def carry_out_pending(installation: Installation) -> None:
    """Carry out every message that is still in the inbox, such as one that was accepted by a process that was killed.

    Raises:
        ErasureIncompleteError, TamperError: the first error; all other messages were carried out.
        UnavailableError: the store cannot be written; messages are left in the inbox.
    """
    stuck: list[VolensError] = []
    inbox = Inbox(installation.store)
    for sealed in inbox.pending():
        try:
            carry_out_revocation(installation, inbox.open(sealed))
        except (ErasureIncompleteError, TamperError) as error:
            stuck.append(error)
    if stuck:
        raise stuck[0]


def _consents_of(connection: Connection, keyring: Keyring, sender: Sender, revocation: Revocation) -> list[ReceiptId]:
    allowed = [sender.zone] if sender.zone is not None else [zone.purpose for zone, _ in inspect_zones(connection)]
    named: list[tuple[ReceiptId, DataSubjectId]] = []
    if revocation.receipt_id is not None:
        stored = stored_receipt(connection, revocation.receipt_id)
        if stored is not None and stored.purpose in allowed:
            named.append((stored.receipt_id, stored.subject_id))
    if revocation.external_id is not None:
        external_id = revocation.external_id
        linked = (consent_linked(connection, keyring, zone, external_id) for zone in allowed)
        named += [one for one in linked if one is not None]
    consents = [receipt_id for receipt_id, _ in named]
    if revocation.kind is RevocationKind.TERMINATED:
        consents += live_receipts_of(connection, {subject_id for _, subject_id in named}, allowed)
    return list(dict.fromkeys(consents))
