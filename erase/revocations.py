"""Revocations that others tell of: whoever keeps the staff list says that somebody left, or took a yes back.

It ends what the person's own withdrawal would end, by the same procedure. What is not known here is no error: whether
somebody agreed is nobody's business but theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, final

from sqlalchemy import Connection

from volens.consent import DataSubjectId, EndReason, InputError, ReceiptId
from volens.erase import erase_consents
from volens.index import Galleries
from volens.store import Store
from volens.store.people import add_external_id, parse_external_id, stored_receipt
from volens.store.people.consents import live_receipts_of
from volens.store.people.external_ids import consent_linked
from volens.store.programs import Sender, Senders
from volens.store.promises import zones


class RevocationKind(StrEnum):
    """What happened."""

    REVOKED = "consent.revoked"
    """One consent is taken back: the one of the receipt, or all that go by the external id."""
    TERMINATED = "employee.terminated"
    """The person has left: every consent of theirs ends."""


_REASONS: Final = {RevocationKind.REVOKED: EndReason.WITHDRAWN, RevocationKind.TERMINATED: EndReason.LEFT}


@final
@dataclass(frozen=True, slots=True)
class Revocation:
    """Whose consent is over, in the words of the sender: by the receipt's id, or by what the sender calls the person.

    Raises:
        InputError: both or neither, or an external id that is none.
    """

    kind: RevocationKind
    receipt_id: ReceiptId | None = None
    external_id: str | None = None

    def __post_init__(self) -> None:
        """Check that."""
        if (self.receipt_id is None) == (self.external_id is None):
            raise InputError("got both or neither of receipt_id and external_id; send one of the two")
        if self.external_id is not None:
            parse_external_id(self.external_id)


@final
class Revocations:
    """What senders may do to the consents of a site.

    Attributes:
        senders: who they are.
    """

    def __init__(self, store: Store, galleries: Galleries, home: Path) -> None:
        """Work on what the site holds open."""
        self._store = store
        self._galleries = galleries
        self._home = home
        self.senders = Senders(store)

    def link(self, receipt_id: ReceiptId, external_id: str) -> None:
        """Record what senders call the person of a consent in force; see `volens.store.people.add_external_id`."""
        with self._store.write() as tx:
            add_external_id(tx, self._store.keyring, receipt_id, external_id)

    def carry_out(
        self, sender: Sender, message_id: str, wanted: Revocation, when_stopped: Callable[[], None]
    ) -> list[ReceiptId]:
        """End what a verified message asks for, once; return the consents that it was about, none if none is known.

        1. A message that was carried out before changes nothing: the person may have agreed again since.
        2. The consents are those of the person meant, in the zones that the sender may speak about.
        3. They are stopped together: nobody is matched by them from here on. Then the message is noted, then
           `when_stopped` is called, in this thread.
        4. The rest of the erasure is carried out.

        Killed between stopping and noting, the same message stops nobody new, for those consents are gone; only a yes
        that was given between the two would end with it, and be asked for again.

        Raises:
            ErasureIncompleteError: matching has stopped, and `when_stopped` was called; the sweep goes on.
            UnavailableError: the store refuses; the message is to be sent again.
        """
        # 1.
        if self.senders.knows(sender, message_id):
            when_stopped()
            return []
        # 2.
        with self._store.read() as connection:
            meant = self._meant(connection, sender, wanted)

        # 3.
        def stopped() -> None:
            self.senders.note(sender, message_id, wanted.kind.value, len(meant))
            when_stopped()

        if not meant:
            stopped()
            return []
        # 4.
        erase_consents(self._store, self._galleries, self._home, meant, _REASONS[wanted.kind], when_stopped=stopped)
        return meant

    def _meant(self, connection: Connection, sender: Sender, wanted: Revocation) -> list[ReceiptId]:
        where = [sender.zone] if sender.zone is not None else [zone.purpose for zone in zones(connection)]
        named: list[tuple[ReceiptId, DataSubjectId]] = []
        if wanted.receipt_id is not None:
            stored = stored_receipt(connection, wanted.receipt_id)
            if stored is not None and stored.purpose in where:
                named.append((stored.receipt_id, stored.subject_id))
        if wanted.external_id is not None:
            keyring, external_id = self._store.keyring, wanted.external_id
            linked = (consent_linked(connection, keyring, zone, external_id) for zone in where)
            named += [one for one in linked if one is not None]
        meant = [receipt_id for receipt_id, _ in named]
        if wanted.kind is RevocationKind.TERMINATED:
            meant += live_receipts_of(connection, {subject_id for _, subject_id in named}, where)
        return list(dict.fromkeys(meant))
