"""Offer a receipt, and accept it signed: what giving consent and renewing it have in common.

No private key passes through here. The desk's own way, `give_consent` and `renew_consent`, is the same two steps with a
signature in between, and the receipt says so (form ``desk``).
"""

from datetime import datetime

from sqlalchemy import Connection

from volens.consent import InputError, Notice, ReceiptId, RefusedError, UnverifiedReceipt, VerifiedReceipt
from volens.consent.errors import ReceiptSignatureError
from volens.consent.processing_record import ProcessingRecord
from volens.consent.reason import Reason
from volens.consent.receipt import verify_receipt
from volens.consent.receipt_offer import ReceiptOffer, compose_again, compose_receipt, end_of_term
from volens.consent.receipt_signature import SignatureForm, SignatureTerms
from volens.consent.subject_key import SubjectPublicKey
from volens.enroll.opening import refuse_to_ask
from volens.store import Store
from volens.store.people import stored_receipt
from volens.store.promises import Defaults, processing_record


def offer_receipt(
    store: Store,
    record: ProcessingRecord,
    notice: Notice,
    *,
    public_key: SubjectPublicKey,
    form: SignatureForm,
    valid_days: int | None = None,
    valid_until: datetime | None = None,
) -> ReceiptOffer:
    """Return a receipt for the owner of a key to sign. Nothing is stored.

    Raises:
        InputError, RefusedError: see `refuse_to_ask`, `compose_receipt` and `end_of_term`.
    """
    now = store.now()
    with store.read() as connection:
        refuse_to_ask(store, connection, record.jurisdiction, notice.purpose)
    return ReceiptOffer(
        compose_receipt(
            record,
            notice,
            receipt_id=ReceiptId(store.random(16).hex()),
            key=public_key,
            signature=SignatureTerms.of(form, Defaults(store).public_url()),
            issued_at=now,
            expires_at=end_of_term(record, now, valid_days=valid_days, valid_until=valid_until),
        )
    )


def accept_receipt(store: Store, connection: Connection, notice: Notice, signed: bytes) -> VerifiedReceipt:
    """Return a receipt that a person signed, if this site offers it today.

    1. The person whose key it names signed it.
    2. Composed again, it is the same (`compose_again`).
    3. It was not recorded before, under this or another signature: its id is new.
    4. People of its jurisdiction may still be asked in this zone (`volens.enroll.opening`).

    Raises:
        InputError: the bytes are no receipt, or 1 fails.
        RefusedError: 2, 3 or 4 fails.
    """
    # 1.
    unverified = UnverifiedReceipt.parse(signed)
    try:
        receipt = verify_receipt(unverified, unverified.claims.subject_key)
    except ReceiptSignatureError as problem:
        # Nothing of this site was changed: what was sent is wrong, so it is no `TamperError`.
        reason = str(problem).removeprefix("integrity: ").partition(";")[0]
        raise InputError(f"{reason}; sign what was offered, with the key or passkey that it names") from None
    # 2.
    record = processing_record(connection, store.site.controller, notice.purpose, receipt.claims.jurisdiction)
    compose_again(receipt, record, notice, Defaults(store).public_url(), store.now())
    # 3.
    if stored_receipt(connection, receipt.claims.receipt_id) is not None:
        raise RefusedError(
            "this receipt was recorded before; ask for a new offer, and sign that one", reason=Reason.RECORDED_BEFORE
        )
    # 4.
    refuse_to_ask(store, connection, record.jurisdiction, notice.purpose)
    return receipt
