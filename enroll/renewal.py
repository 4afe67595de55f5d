"""Consent given anew: what the new consent replaces ends first, and is erased.

The key of an embedding comes from the signed receipt, so nothing of the old consent can go over to the new one: the
person is enrolled again.
"""

from pathlib import Path

from volens.consent import EndReason, VerifiedReceipt
from volens.erase import erase_consent
from volens.index import Galleries
from volens.store import Store
from volens.store.people import clocked
from volens.store.promises import refuse_if_stopped


def end_replaced_consent(store: Store, galleries: Galleries, home: Path, receipt: VerifiedReceipt) -> None:
    """End the same person's older consent to the same zone, if its clock has run out or a new notice asks again.

    Another consent in force is left alone; the store refuses a second one. If this fails in the middle, the person
    has no consent and gives it once more: never two.

    Args:
        store: of the site.
        galleries: of this process.
        home: see `erase_consent`.
        receipt: the new one, checked, not yet recorded.

    Raises:
        RefusedError: collecting was ordered to stop; nothing was changed.
        ErasureIncompleteError: the old one ended, but its erasure is not finished; the new one was not recorded.
    """
    claims = receipt.claims
    with store.read() as connection:
        # The new one would be refused; then the old one must not end for it.
        refuse_if_stopped(connection, claims.jurisdiction, claims.purpose)
        older = list(clocked(connection, purpose=claims.purpose, subject_id=claims.subject_id))
    for one in older:
        if one.deadline.at <= store.now():
            erase_consent(store, galleries, home, one.receipt_id, one.deadline.reason)
        elif one.facts is not None and one.facts.superseding:
            erase_consent(store, galleries, home, one.receipt_id, EndReason.SUPERSEDED)
