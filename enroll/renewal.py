"""Renewal of a consent: the older consent that a new one replaces ends first, and its data is erased.

The key of an embedding is derived from the signed receipt, so no data of the old consent can be used under the new one:
the person is enrolled again.
"""

from volens.consent import EndReason, VerifiedReceipt
from volens.erase import erase_consents
from volens.index import Installation
from volens.store.people import clocked
from volens.store.promises import refuse_if_stopped


def end_replaced_consent(installation: Installation, receipt: VerifiedReceipt) -> None:
    """End the person's older consent to the same zone, if its clock has run out or a new notice supersedes it.

    Any other consent in force is left alone, and the store refuses a second one. If this fails half-way, the person has
    no consent and gives it again; there are never two. The new receipt is verified, and not yet recorded.

    Raises:
        RefusedError: an order to stop collecting is in force; nothing was changed.
        ErasureIncompleteError: the old consent ended, but its erasure is not finished; the new one was not recorded.
    """
    claims = receipt.claims
    with installation.store.read() as connection:
        # The new consent would be refused, so the old one must not end.
        refuse_if_stopped(connection, claims.jurisdiction, claims.purpose)
        older = list(clocked(connection, purpose=claims.purpose, subject_id=claims.subject_id))
    for one in older:
        if one.deadline.at <= installation.now():
            erase_consents(installation, [one.receipt_id], one.deadline.reason)
        elif one.facts is not None and one.facts.superseded_at:
            erase_consents(installation, [one.receipt_id], EndReason.SUPERSEDED)
