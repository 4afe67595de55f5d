"""Giving consent: what a person who was shown a notice and said yes signs, what is recorded, what they take home."""

from collections.abc import Callable
from typing import Final

from volens.consent import (
    Custody,
    InputError,
    Notice,
    PersonSecret,
    ReceiptId,
    SubjectKey,
    TakeHome,
    VerifiedReceipt,
    VolensError,
    WithdrawalCode,
    format_time,
)
from volens.consent.receipt import sign_receipt, verify_receipt
from volens.store import Store, Transaction
from volens.store.people import add_external_id, parse_external_id, shorten
from volens.store.people.consents import add_consent
from volens.store.people.subject_secrets import add_commitment
from volens.store.programs import MessageKind, tell
from volens.store.promises import notice_of, zone_of

MAX_NAME_LENGTH: Final = 200


def _nothing(_receipt: VerifiedReceipt) -> None:
    return


def give_consent(
    store: Store,
    notice: Notice,
    *,
    name: str,
    jurisdiction: str,
    key: SubjectKey,
    valid_days: int | None = None,
    external_id: str | None = None,
    end_replaced_consent: Callable[[VerifiedReceipt], None] = _nothing,
    in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
) -> TakeHome:
    """Record the consent of a person who was shown `notice` and said yes.

    1. The notice is still the newest of its zone.
    2. The person's key signs the receipt.
    3. The grant secret is kept first: a consent without its secret could not be used, a stray secret is swept away.
    4. Receipt, liveness, sealed name and audit leaf are committed together, and a clock that was set meanwhile, and the
       messages to those who receive data; where the person holds a half of the key, also the commitment to it.

    Args:
        store: of the site.
        notice: the one that was shown.
        name: the person's name, 1 to 200 characters; kept sealed, and gone with the consent.
        jurisdiction: ISO 3166 code of the law that protects the person, such as ``FR`` or ``US-IL``.
        key: the person's own key; it signs, and is not kept.
        valid_days: the term that the person signs; without it, the zone's retention.
        external_id: what others call the person, such as a personnel number; see `volens.store.people.external_ids`.
        end_replaced_consent: ends what the new consent replaces (`volens.enroll.renewal`): called before it is recorded.
        in_transaction: called in the transaction of 4, to write what must be there exactly when the consent is.

    Returns:
        What the person takes home: the signed receipt, the withdrawal code, the notice's text, and in a zone of custody
        ``subject_key`` the secret, which is not kept and must be wiped once it is handed over.

    Raises:
        InputError: a bad name, jurisdiction, term or external id, or 1 does not hold.
        RefusedError: the person's consent to this zone is already in force, or the external id is somebody else's.

    Not checked: that the person was shown the notice, and is who the name says; the operator answers for both.
    """
    _check_name(name)
    if external_id is not None:
        parse_external_id(external_id)
    # 1.
    with store.read() as connection:
        zone = zone_of(connection, notice.purpose)
        if notice_of(connection, notice.purpose, notice.language) != notice:
            raise InputError("a newer notice was published meanwhile; show that one, and ask again")
    # 2.
    receipt_id = ReceiptId(store.random(16).hex())
    unverified = sign_receipt(
        zone,
        notice,
        store.site.controller,
        receipt_id=receipt_id,
        jurisdiction=jurisdiction,
        key=key,
        now=store.now(),
        valid_days=valid_days,
    )
    receipt = verify_receipt(unverified, key.public)
    code = WithdrawalCode.generate(store.random)
    end_replaced_consent(receipt)
    person = PersonSecret.generate(store.random) if zone.custody is Custody.SUBJECT_KEY else None
    take_home = TakeHome.of(unverified, code, notice, person)
    # 3.
    with store.keyring.new_grant_secret(receipt_id, store.random, store.now()) as secret:
        try:
            # 4.
            with store.write() as tx:
                add_consent(tx, receipt, code, name.strip(), secret)
                shorten(tx, receipt_id=receipt_id)
                if external_id is not None:
                    add_external_id(tx, store.keyring, receipt_id, external_id)
                tell(
                    tx, MessageKind.CONSENT_GIVEN, {receipt_id: {"expires_at": format_time(receipt.claims.expires_at)}}
                )
                if person is not None:
                    add_commitment(tx, receipt, person)
                if in_transaction is not None:
                    in_transaction(tx, take_home)
        except VolensError:
            store.keyring.destroy(receipt_id)
            raise
    return take_home


def _check_name(name: str) -> None:
    if not 1 <= len(name.strip()) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InputError(
            f"got a name of {len(name.strip())} characters; expected 1 to {MAX_NAME_LENGTH} that can be printed"
        )
