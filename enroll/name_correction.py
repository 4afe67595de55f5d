"""Correction of a person's name (GDPR 16): the sealed name in force is replaced; the signed receipt carries no name."""

from volens.consent import NoLiveConsentError, ReceiptId
from volens.enroll.giving import parse_name
from volens.store import Store
from volens.store.people.consents import LiveConsents, live_owner, replace_name, seal_name, stored_receipt


def correct_name(store: Store, receipt_id: ReceiptId, name: str) -> None:
    """Replace the name under a consent in force. The old name is deleted, and scrubbed from the files.

    1. The new name is sealed under the key of the consent, as the old one was.
    2. In one transaction the row is replaced, with the time of the correction, and the change is logged.

    Raises:
        InputError: the name is not valid.
        NoLiveConsentError: no consent of this receipt is in force.
        TamperError: the rows of the consent, or its secret, were changed.
        UnavailableError: the store cannot be written; nothing was changed.

    Not checked: that the name is the person's. Copies of the data file made before hold the old name, sealed, until the
    consent ends and its key is destroyed.
    """
    plain = parse_name(name)
    # 1.
    with store.read() as connection:
        owner, receipt = live_owner(connection, receipt_id), stored_receipt(connection, receipt_id)
    if owner is None or receipt is None:
        raise _ended()
    with store.keyring.grant_secret(receipt_id) as secret:
        box = seal_name(plain, owner, receipt.sha256, secret, store.random)
    # 2.
    with store.write() as tx:
        if LiveConsents(tx.connection).live_until(receipt_id, receipt.subject_id, receipt.purpose) is None:
            raise _ended()
        replace_name(tx, owner, box)
    store.data.scrub()


def _ended() -> NoLiveConsentError:
    return NoLiveConsentError("there is no consent in force for this receipt; nothing was changed")
