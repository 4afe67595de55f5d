"""Revocations received by webhook: a known sender, such as an HR system, reports that a consent has ended.

A revocation ends what the person's own withdrawal would end, by the same procedure. An unknown id is not an error,
because an answer must not tell the sender whether a person gave consent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from sqlalchemy import Connection

from volens import Site
from volens.consent import DataSubjectId, EndReason, InputError, ReceiptId
from volens.erase import erase_consents
from volens.store.keys.keyring import Keyring
from volens.store.people import parse_external_id, stored_receipt
from volens.store.people.consents import live_receipts_of
from volens.store.people.external_ids import consent_linked
from volens.store.programs import Sender
from volens.store.promises import zones


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


def carry_out_revocation(
    site: Site, sender: Sender, message_id: str, revocation: Revocation, when_stopped: Callable[[], None]
) -> list[ReceiptId]:
    """End the consents of a verified message, once for each message, and return them; the list may be empty.

    1. A message that was carried out before changes nothing, because the person may have given consent again since.
    2. The consents are those of the person, in the zones that the sender may act on.
    3. They are stopped together, and no longer match from then on. Then the message is recorded, then
       `when_stopped` is called, in this thread.
    4. The rest of the erasure is carried out.

    If the process is killed between stopping and recording, a repeated message finds those consents ended already. Only
    a consent given between the two deliveries would end with it, and would have to be given again.

    Raises:
        ErasureIncompleteError: matching has stopped, and `when_stopped` was called; the sweep continues the erasure.
        UnavailableError: the store cannot be written; the sender must send the message again.
    """
    senders, installation = site.programs.senders, site.installation
    # 1.
    if senders.has_recorded(sender, message_id):
        when_stopped()
        return []
    # 2.
    with installation.store.read() as connection:
        consents = _consents_of(connection, installation.store.keyring, sender, revocation)

    # 3.
    def stopped() -> None:
        senders.record(sender, message_id, revocation.kind.value, len(consents))
        when_stopped()

    if not consents:
        stopped()
        return []
    # 4.
    erase_consents(installation, consents, _REASONS[revocation.kind], when_stopped=stopped)
    return consents


def _consents_of(connection: Connection, keyring: Keyring, sender: Sender, revocation: Revocation) -> list[ReceiptId]:
    allowed = [sender.zone] if sender.zone is not None else [zone.purpose for zone in zones(connection)]
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
