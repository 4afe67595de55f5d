"""Admits a receipt as presented, and returns a grant: the gate of `consent`, with the facts of the store."""

import hmac

from sqlalchemy import Connection

from volens.consent import ConsentGrant, Purpose, UnverifiedReceipt, VerifiedReceipt
from volens.consent.errors import ReceiptSignatureError
from volens.consent.gate import admit
from volens.consent.receipt import verify_receipt
from volens.consent.subject_key import SubjectPublicKey
from volens.store.people.consents import LiveConsents, stored_receipt
from volens.store.store import Store


def admit_receipt(
    store: Store, connection: Connection, receipt: UnverifiedReceipt, purpose: Purpose | None = None
) -> ConsentGrant:
    """Return a grant for a receipt as presented, for its own zone or for the one given.

    1. Its signature is verified: with the key recorded when the consent was given; for an unknown receipt with the key
       in it, which shows only that it is not damaged.
    2. A known receipt is byte for byte the one recorded: the same person could have signed another under the same id.
    3. `volens.consent.gate.admit` decides.

    Raises:
        ReceiptSignatureError: 1 or 2 fails.
        ForeignReceiptError, NoLiveConsentError, ConsentExpiredError: see `volens.consent.gate.admit`.
    """
    # 1. and 2.
    verified = check_receipt(connection, receipt)
    # 3.
    return admit(
        verified,
        site_id=store.site.controller.site_id,
        purpose=verified.claims.purpose if purpose is None else purpose,
        ledger=LiveConsents(connection, store.stopped, store.paused),
        now=store.now(),
    )


def check_receipt(connection: Connection, receipt: UnverifiedReceipt) -> VerifiedReceipt:
    """Do steps 1 and 2 of `admit_receipt`: the receipt is genuine, whether it is in force or not."""
    stored = stored_receipt(connection, receipt.claims.receipt_id)
    key = receipt.claims.subject_key if stored is None else SubjectPublicKey(stored.subject_key)
    verified = verify_receipt(receipt, key)
    if stored is not None and not hmac.compare_digest(stored.sha256, verified.sha256):
        raise ReceiptSignatureError(
            "integrity: the receipt is not the one recorded when the consent was given; use that one, or "
            "restore the data from a backup"
        )
    return verified
