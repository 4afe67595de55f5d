"""Withdrawal: a consent is ended by its signed receipt or by its withdrawal code. No reason is required.

A damaged row in the store must not prevent a withdrawal, so the receipt is checked against itself, not against the row.
"""

from sqlalchemy import Connection

from volens.consent import InputError, NoLiveConsentError, ReceiptId, TakeHome, UnverifiedReceipt, WithdrawalCode
from volens.consent.errors import ReceiptSignatureError
from volens.consent.receipt import verify_receipt
from volens.store import Store
from volens.store.people import receipts_of, stored_receipt
from volens.store.people.consents import receipt_of_code
from volens.store.people.people_search import all_of_signer

_UNKNOWN = "there is no consent for this receipt or code here; nothing was changed"


def consent_to_withdraw(connection: Connection, receipt: bytes | None, code: str | None) -> ReceiptId:
    """Return the consent that a receipt (take-home file or bare JWS) or a withdrawal code (or its QR text) may end.

    Raises:
        InputError: both or neither are given, or the code is malformed.
        NoLiveConsentError: no such consent was ever given here.
        ReceiptError: the receipt is malformed, or was not signed by the person who gave the consent.
    """
    if (receipt is None) == (code is None):
        raise InputError("got both or neither of receipt and code; give one of the two")
    if code is not None:
        return consent_of_code(connection, WithdrawalCode.parse(code))
    return consent_of_receipt(connection, TakeHome.parse(receipt or b"").receipt)


def consent_of_receipt(connection: Connection, receipt: UnverifiedReceipt) -> ReceiptId:
    """Return the consent that an unverified receipt may end. An expired receipt is accepted (GDPR 7(3)).

    1. The receipt is signed by the key in it, whose thumbprint is its subject.
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
            "integrity: this receipt was not signed by the person who gave the consent of this id; use the withdrawal "
            "code"
        )
    return stored.receipt_id


def consent_of_code(connection: Connection, code: WithdrawalCode) -> ReceiptId:
    """Return the consent that a withdrawal code belongs to.

    Raises:
        NoLiveConsentError: there is no such consent.
    """
    stored = receipt_of_code(connection, code)
    if stored is None:
        raise NoLiveConsentError(_UNKNOWN)
    return stored.receipt_id


def consents_of_person(store: Store, who: str | UnverifiedReceipt) -> list[ReceiptId]:
    """Return the consents of one person, in force or ended; empty where there is none.

    Of a receipt, which is checked first, its own consent comes first, then the others of the same key: an old receipt
    must not hide a newer consent. For a text see `volens.store.people.receipts_of`.

    Raises:
        ReceiptSignatureError: the receipt was not signed by the person who gave the consent.
        TamperError: the stored receipt was changed.
        InputError: several people have this name.
    """
    if isinstance(who, str):
        return receipts_of(store, who)
    with store.read() as connection:
        stored = stored_receipt(connection, who.claims.receipt_id)
        if stored is None:
            return []
        consent_of_receipt(connection, who)
        return all_of_signer(connection, stored)
