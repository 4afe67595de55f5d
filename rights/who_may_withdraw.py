"""Who may end a consent: whoever shows the receipt that the person signed, or the withdrawal code. No reason is asked.

A broken row in the store must not keep anyone in, so the receipt is checked against itself, not against the row.
"""

from sqlalchemy import Connection

from volens.consent import InputError, NoLiveConsentError, ReceiptId, TakeHome, UnverifiedReceipt, WithdrawalCode
from volens.consent.errors import ReceiptSignatureError
from volens.consent.receipt import verify_receipt
from volens.store import Store
from volens.store.people import receipts_of, stored_receipt
from volens.store.people.consents import receipt_of_code

_UNKNOWN = "there is no consent for this receipt or code here; nothing was changed"


def consent_shown(connection: Connection, receipt: bytes | None, code: str | None) -> ReceiptId:
    """Return the consent that whoever shows one of the two may end: a take-home file or bare JWS, or a code or its QR.

    Raises:
        InputError: both or neither, or a code that is none.
        NoLiveConsentError: there never was such a consent here.
        ReceiptError: the receipt is malformed, or not by the person who gave the consent.
    """
    if (receipt is None) == (code is None):
        raise InputError("got both or neither of receipt and code; give one of the two")
    if code is not None:
        return consent_of_code(connection, WithdrawalCode.parse(code))
    return consent_of_receipt(connection, TakeHome.parse(receipt or b"").receipt)


def consent_of_receipt(connection: Connection, receipt: UnverifiedReceipt) -> ReceiptId:
    """Return the consent that a receipt as presented may end; it may have expired (GDPR 7(3)).

    1. It is signed by the key in it, whose thumbprint is the subject it names.
    2. The consent of this id was given by that subject.

    Raises:
        ReceiptSignatureError: 1 or 2 does not hold.
        NoLiveConsentError: no consent of this id was ever given here.
    """
    # 1.
    claims = verify_receipt(receipt, receipt.claims.subject_key).claims
    # 2.
    stored = stored_receipt(connection, claims.receipt_id)
    if stored is None:
        raise NoLiveConsentError(_UNKNOWN)
    if stored.subject_id != claims.subject_id:
        raise ReceiptSignatureError(
            "integrity: this receipt is not by the person who gave the consent of this id; use the withdrawal code"
        )
    return stored.receipt_id


def consent_of_code(connection: Connection, code: WithdrawalCode) -> ReceiptId:
    """Return the consent that a withdrawal code belongs to.

    Raises:
        NoLiveConsentError: to none.
    """
    stored = receipt_of_code(connection, code)
    if stored is None:
        raise NoLiveConsentError(_UNKNOWN)
    return stored.receipt_id


def consents_meant(store: Store, who: str | UnverifiedReceipt) -> list[ReceiptId]:
    """Return the consents of one person, in force or ended; empty where there is none.

    Args:
        store: of the site.
        who: a receipt as presented, which is checked first; or a name or id, see `volens.store.people.receipts_of`.

    Raises:
        ReceiptSignatureError: the receipt is not by the person who gave the consent.
        InputError: several people have this name.
    """
    if isinstance(who, str):
        return receipts_of(store, who)
    with store.read() as connection:
        known = stored_receipt(connection, who.claims.receipt_id) is not None
        return [consent_of_receipt(connection, who)] if known else []
