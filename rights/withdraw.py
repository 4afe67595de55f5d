"""Withdrawal by the person: ends the consent of a receipt or code, and says what else of that person is in force.

A person may show an old receipt: its consent ended long ago, and a newer one lets the doors open. So the answer names
the consents that the same key has signed and that are in force, and the same call can end them too. It names no more:
a consent that was given with another key is another data subject's to Volens, and the holder of this receipt is not
entitled to learn of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import final

from volens.consent import EndReason, ReceiptId, TamperError
from volens.consent.lease import LeaseHolding, stopped_everywhere_at
from volens.erase import PendingStops
from volens.erase.journal import lease_holders
from volens.erase.proof import Erased
from volens.index import Installation
from volens.store import Store
from volens.store.people import consent_ended, stored_receipt
from volens.store.people.standing_consents import StandingConsent, standing_of_person


@final
@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal that was carried out. A repeated one has the same content.

    Attributes:
        erased: the consent whose receipt or code was shown; its reason is not "withdrawn" if it had ended otherwise.
        ended_at: when that consent ended: stopped at the primary.
        holders: the doors that held a lease then, and could decide without the primary.
        also_ended: the person's other consents, if all were to end.
        in_force: the consents of the same person that are in force now, those for the zone of `erased` first.
    """

    erased: Erased
    ended_at: datetime
    also_ended: Sequence[Erased]
    in_force: Sequence[StandingConsent]
    holders: Sequence[LeaseHolding] = ()

    @property
    def stopped_everywhere_at(self) -> datetime:
        """From when on no door decides about the person any more; without holders it is `ended_at`."""
        return stopped_everywhere_at(self.ended_at, self.holders)

    @property
    def newer(self) -> StandingConsent | None:
        """The consent to the same zone that is in force, so that its doors still know the person; None if none is."""
        return next((one for one in self.in_force if one.zone == self.erased.zone), None)


def withdraw_consent(
    installation: Installation, stops: PendingStops, receipt_id: ReceiptId, *, all_of_this_person: bool = False
) -> Withdrawal:
    """End a consent whose receipt or code was checked (`consent_to_withdraw`).

    With `all_of_this_person`, every other consent of the same key ends too; all stop before the first is erased.

    Raises:
        NoLiveConsentError: it was never given here.
        TamperError: with `all_of_this_person`, the stored receipt does not say reliably whose it is; nothing ended.
        UnavailableError: the store cannot be written; this process no longer matches them. See `PendingStops`.
        ErasureIncompleteError: matching has stopped, but an erasure is not finished.
    """
    store = installation.store
    others = _others(store, receipt_id) if all_of_this_person else []
    stops.take([(one.receipt_id, EndReason.WITHDRAWN) for one in others])
    done = stops.withdraw(receipt_id)
    also = [stops.withdraw(one.receipt_id) for one in others]
    with store.read() as connection:
        ended = consent_ended(connection, receipt_id)
        holders = lease_holders(connection, receipt_id)
    if ended is None:
        raise store.seals.damaged("a consent was erased that has not ended")
    try:
        standing = _others(store, receipt_id)
    except TamperError:
        standing = []  # whose it was is not certain, and that must not keep it in force
    in_force = sorted(standing, key=lambda one: (one.zone != done.zone, one.zone))
    return Withdrawal(done, ended[1], also, in_force, holders)


def _others(store: Store, receipt_id: ReceiptId) -> list[StandingConsent]:
    """Return the consents in force that the signer of a consent gave besides it.

    Raises:
        TamperError: the stored receipt was changed: its row may name another person.
    """
    with store.read() as connection:
        stored = stored_receipt(connection, receipt_id)
        if stored is None:
            return []
        subject_id = stored.verified().claims.subject_id
        standing = standing_of_person(connection, subject_id, store.now())
    return [one for one in standing if one.receipt_id != receipt_id]
