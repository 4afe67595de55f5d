"""Offer a receipt, and accept it signed: what giving consent and renewing it have in common.

No private key passes through here. The desk's own way, `give_consent` and `renew_consent`, is the same two steps with a
signature in between, and the receipt says so (form ``desk``).
"""

from datetime import datetime

from sqlalchemy import Connection

from volens.consent import InputError, Notice, ReceiptId, RefusedError, UnverifiedReceipt, VerifiedReceipt
from volens.consent.age_statement import AgeAnswer
from volens.consent.errors import ReceiptSignatureError
from volens.consent.law.minors import state_age
from volens.consent.processing_record import ProcessingRecord
from volens.consent.reason import Reason
from volens.consent.receipt import verify_receipt
from volens.consent.receipt_offer import ReceiptOffer, compose_again, compose_receipt, end_of_term
from volens.consent.receipt_signature import SignatureForm, SignatureTerms
from volens.consent.subject_key import SubjectPublicKey
from volens.enroll.opening import refuse_by_record
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
    age: AgeAnswer | None = None,
) -> ReceiptOffer:
    """Return a receipt for the owner of a key to sign. Nothing is stored.

    Raises:
        InputError, RefusedError: see `refuse_by_record`, `compose_receipt` and `end_of_term`.
    """
    now = store.now()
    with store.read() as connection:
        refuse_by_record(store, connection, record)
    stated = None
    if age is not None:
        stated = state_age(record.profile, notice.purpose, record.zone_facts, person=public_key, answer=age)
    document = compose_receipt(
        record,
        notice,
        receipt_id=ReceiptId(store.random(16).hex()),
        key=public_key,
        signature=SignatureTerms.of(form, Defaults(store).public_url()),
        issued_at=now,
        expires_at=end_of_term(record, now, valid_days=valid_days, valid_until=valid_until),
    )
    return ReceiptOffer(document if stated is None else stated.added_to(document))


def accept_receipt(
    store: Store, connection: Connection, notice: Notice, signed: bytes, guardian_signature: str | None = None
) -> VerifiedReceipt:
    """Return a receipt that a person signed, if this site offers it today.

    1. The person whose key it names signed it.
    2. Composed again, it is the same (`compose_again`).
    3. It was not recorded before, under this or another signature: its id is new.
    4. People of its jurisdiction may still be asked in this zone (`volens.enroll.opening`).
    5. If the person said that they are under age, the zone takes them, and the guardian signed the same receipt.

    Raises:
        InputError: the bytes are no receipt, 1 fails, or a guardian signed where none is named.
        RefusedError: 2, 3, 4 or 5 fails.
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
    refuse_by_record(store, connection, record)
    # 5.
    _check_age(record, receipt, guardian_signature)
    return receipt


def key_to_renew(old: VerifiedReceipt) -> SubjectPublicKey:
    """Return the key with which a person signs again to renew a consent.

    Raises:
        RefusedError: a guardian signed it beside a person under age, who may be of age by now.
    """
    if old.claims.age is not None and not old.claims.age.of_age:
        raise RefusedError(
            "a guardian signed this consent beside the person, so it is not renewed; ask about the age again, and "
            "record a new consent when this one ends",
            reason=Reason.GUARDIAN_NEEDED,
        )
    return old.claims.subject_key


def _check_age(record: ProcessingRecord, receipt: VerifiedReceipt, guardian_signature: str | None) -> None:
    claims = receipt.claims
    if claims.age is None:
        if guardian_signature is not None:
            raise InputError("got a guardian's signature, but the receipt names no guardian; leave it out")
        return
    said = claims.age
    answer = AgeAnswer(said.of_age, said.guardian)
    zone, key = record.zone.purpose, claims.subject_key
    if state_age(record.profile, zone, record.zone_facts, person=key, answer=answer) != said:
        raise RefusedError("the person was asked for another age than the law of today; ask for a new offer")
    said.check_guardian(receipt.document, guardian_signature)
