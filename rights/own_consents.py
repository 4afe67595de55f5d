"""My data: the consents of one key as the person sees them, in force and ended (GDPR 15; the page behind the QR code).

The person shows a receipt or a withdrawal code, and no identity. So the page tells less than the answer to an access
request that the desk hands over: visits of the last seven days only, and no embedding. A consent that was given with
another key is another data subject's to Volens, and is not shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from sqlalchemy import Connection

from volens.consent import NoLiveConsentError, Purpose, ReceiptId, TamperError, Zone
from volens.consent.processing_record import ProcessingRecord
from volens.erase import certificates_of
from volens.erase.pages import PageLanguage
from volens.rights.decision_explanation import LATELY
from volens.rights.held_data import record_for
from volens.rights.people_directory import EndedConsent
from volens.rights.promised_rights import rights_of
from volens.store import Store
from volens.store.people import consent_ended, stored_receipt, stored_receipts
from volens.store.people.disclosures import Disclosure, disclosures_of
from volens.store.people.people_list import ConsentState, ListedConsent, listed_consents, open_names
from volens.store.people.people_search import all_of_signer
from volens.store.people.visits import KeptVisit, visits_since
from volens.store.promises import Recipient, recipients_of
from volens.store.promises.zones_and_notices import inspect_zones

CHANGEABLE: Final = frozenset({ConsentState.CONSENTED, ConsentState.ENROLLED, ConsentState.RESTRICTED})
"""States of a consent in which the person can renew it, and take new photos."""


@final
@dataclass(frozen=True, slots=True)
class OwnConsent:
    """A consent in force, and what is held under it.

    Attributes:
        facts: until when it is in force, by which clock, enrolled or not, second factor.
        name: as the person gave it; None if it does not open.
        visits: of the last seven days, the newest first.
        record: what holds now in the zone for people of the person's jurisdiction; None if rows do not verify, or no
            profile covers it.
        recipients: who receives data of this zone now.
        readers: to whom the name was shown, the newest day first.
        is_stopped: it no longer matches, but the store could not record its end yet.
        is_pause_pending: likewise of a restriction.
    """

    facts: ListedConsent
    zone: Zone
    name: str | None
    visits: tuple[KeptVisit, ...]
    record: ProcessingRecord | None
    recipients: tuple[Recipient, ...]
    readers: tuple[Disclosure, ...]
    is_stopped: bool
    is_pause_pending: bool

    @property
    def can_change(self) -> bool:
        """Whether photos and term can change: it is in force, and no other program changed its rows."""
        return not self.is_stopped and self.facts.state in CHANGEABLE

    def rights(self, language: PageLanguage) -> list[tuple[str, dict[str, str]]]:
        """Return the person's rights as keys and values of words; see `volens.rights.promised_rights`."""
        return rights_of([] if self.record is None else [self.record], language)

    @property
    def is_enrolled(self) -> bool:
        """Whether a reference or a badge belongs to it."""
        return self.facts.references > 0


@final
@dataclass(frozen=True, slots=True)
class OwnConsents:
    """The consents of one key. That of the receipt or code that was shown is first, wherever it stands.

    Attributes:
        zones: the zones of all of them, as they are now.
    """

    shown: ReceiptId
    in_force: tuple[OwnConsent, ...]
    ended: tuple[EndedConsent, ...]
    zones: Mapping[Purpose, Zone]

    def one(self, receipt_id: str) -> OwnConsent | EndedConsent:
        """Return a consent of this person.

        Raises:
            NoLiveConsentError: it is another person's, or none.
        """
        for held in self.in_force:
            if held.facts.receipt_id == receipt_id:
                return held
        for ended in self.ended:
            if ended.receipt_id == receipt_id:
                return ended
        raise NoLiveConsentError("this is no consent of this person; nothing was changed")


def own_receipts(connection: Connection, shown: ReceiptId) -> list[ReceiptId]:
    """Return the consent that was shown, and after it the others of the same key, in force or ended.

    Of a receipt that was changed in the store only itself: its row may name another person.

    Raises:
        NoLiveConsentError: it was never given here.
    """
    stored = stored_receipt(connection, shown)
    if stored is None:
        raise NoLiveConsentError("there is no consent for this receipt or code here; nothing was changed")
    try:
        return all_of_signer(connection, stored)
    except TamperError:
        return [shown]


def own_consents(store: Store, shown: ReceiptId) -> OwnConsents:
    """Return the consents of the person whose receipt or code was checked (`consent_to_withdraw`).

    Raises:
        NoLiveConsentError: it was never given here.
    """
    now = store.now()
    with store.read() as connection:
        receipt_ids = own_receipts(connection, shown)
        listed = {one.receipt_id: one for one in listed_consents(connection, receipt_ids, now)}
        zones = {zone.purpose: zone for zone, _problem in inspect_zones(connection)}
        ended = tuple(_ended(connection, [one for one in receipt_ids if one not in listed]))
        held = [listed[one] for one in receipt_ids if one in listed]
        visits = {one.receipt_id: visits_since(connection, one.receipt_id, now - LATELY) for one in held}
        records = {one.receipt_id: _record(store, connection, one) for one in held}
        recipients = {one.purpose: recipients_of(connection, one.purpose) for one in held}
        readers = {one.receipt_id: disclosures_of(connection, one.receipt_id) for one in held}
    names = open_names(store, list(listed))
    in_force = tuple(
        OwnConsent(
            one,
            zones[one.purpose],
            names.get(one.receipt_id),
            tuple(visits[one.receipt_id]),
            records[one.receipt_id],
            tuple(recipients[one.purpose]),
            tuple(readers[one.receipt_id]),
            one.receipt_id in store.stopped,
            one.receipt_id in store.paused,
        )
        for one in held
    )
    theirs = {one.purpose for one in held} | {one.purpose for one in ended}
    return OwnConsents(shown, in_force, ended, {name: zones[name] for name in theirs if name in zones})


def _record(store: Store, connection: Connection, one: ListedConsent) -> ProcessingRecord | None:
    try:
        receipt = stored_receipts(connection, [one.receipt_id])[one.receipt_id].verified()
        return record_for(store, connection, one.purpose, receipt.claims.jurisdiction)
    except TamperError:
        return None


def _ended(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> Iterable[EndedConsent]:
    certificates, stored = certificates_of(connection, receipt_ids), stored_receipts(connection, receipt_ids)
    for receipt_id in receipt_ids:
        end, certificate = consent_ended(connection, receipt_id), certificates.get(receipt_id)
        if end is not None:
            certificate_id = None if certificate is None else certificate.certificate_id
            yield EndedConsent(receipt_id, Purpose(stored[receipt_id].purpose), *end, certificate_id)
