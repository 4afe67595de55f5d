"""Giving consent: the site offers a receipt, the person signs it, and the site records it and hands it out."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from volens.consent import (
    Custody,
    InputError,
    Notice,
    PersonSecret,
    SubjectKey,
    TakeHome,
    VolensError,
    WithdrawalCode,
    Zone,
    format_time,
)
from volens.consent.age_statement import AgeAnswer, sign_as_guardian
from volens.consent.reason import Reason
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.consent.subject_key import SubjectPublicKey
from volens.consent.typed_text import parse_text
from volens.enroll.offers import OfferWay, record_offer
from volens.enroll.receipt_submission import accept_receipt, offer_receipt
from volens.enroll.renewal import end_replaced_consent
from volens.index import Installation
from volens.store import Store, Transaction
from volens.store.people import add_external_id, parse_external_id, shorten
from volens.store.people.consents import add_consent
from volens.store.people.disclosures import COMMAND_LINE
from volens.store.people.subject_secrets import add_commitment
from volens.store.programs import MessageKind, enqueue
from volens.store.promises import Defaults, notice_of, processing_record, zone_of

MAX_NAME_LENGTH: Final = 200
COMMITMENT_BYTES: Final = 32


def offer_consent(  # noqa: PLR0913  what a person is offered, and who asked, by name
    installation: Installation,
    notice: Notice,
    *,
    public_key: SubjectPublicKey,
    form: SignatureForm,
    jurisdiction: str,
    valid_days: int | None = None,
    valid_until: datetime | None = None,
    way: OfferWay = OfferWay.COMMAND,
    offered_by: str = COMMAND_LINE,
    age: AgeAnswer | None = None,
) -> ReceiptOffer:
    """Return a receipt for a person who read `notice` to sign with their own key, wherever that is.

    The receipt is not stored; that a person was asked is logged (`volens.enroll.offers`). An offer by an invitation was
    logged when the invitation was sent. `offered_by` is the id of the caller. `age` is what the
    person answered to "are you at least N years old" (`volens.consent.age_statement`); None if they were not asked.

    The jurisdiction is the ISO 3166 code of the law that protects the person, such as ``FR`` or ``US-IL``. `valid_days`
    or `valid_until` is the term that the person signs, by default the zone's retention.

    Raises:
        InputError: the notice is not the newest of its zone, or the jurisdiction or the term is not valid.
        RefusedError: the zone is not open (`refuse_to_ask`) or refuses this form, no profile covers the jurisdiction,
            or a passkey is to sign and the site has no public address.
    """
    store = installation.store
    offer = _composed(store, notice, public_key, form, jurisdiction, valid_days, valid_until, age)
    if way is not OfferWay.INVITATION:
        with store.write() as tx:
            record_offer(tx, notice.purpose, way, notice.language, offered_by)
    return offer


def _composed(
    store: Store,
    notice: Notice,
    public_key: SubjectPublicKey,
    form: SignatureForm,
    jurisdiction: str,
    valid_days: int | None,
    valid_until: datetime | None,
    age: AgeAnswer | None,
) -> ReceiptOffer:
    with store.read() as connection:
        zone = zone_of_newest(connection, notice)
        record = processing_record(connection, store.site.controller, zone.purpose, jurisdiction)
    return offer_receipt(
        store,
        record,
        notice,
        public_key=public_key,
        form=form,
        valid_days=valid_days,
        valid_until=valid_until,
        age=age,
    )


def accept_consent(
    installation: Installation,
    notice: Notice,
    signed: bytes,
    *,
    name: str,
    external_id: str | None = None,
    commitment: bytes | None = None,
    guardian_signature: str | None = None,
    offered_at_desk: bool = False,
    in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
) -> TakeHome:
    """Record the consent of a person who read `notice` and signed the receipt that was offered.

    1. The notice is still the newest of its zone.
    2. The receipt is one that the site offers, and its signature holds (`volens.enroll.receipt_submission`).
    3. An older consent that the new one replaces ends, and is erased; see `volens.enroll.renewal`.
    4. The grant secret is stored first: a consent without its secret could not be used, but a sweep deletes a secret
       without a consent.
    5. Receipt, liveness, sealed name and audit leaf are committed together, with expiry clocks that were set meanwhile
       and the messages to recipients. If the person holds half of the key, the commitment to it is committed too. The
       take-home gets the signed checkpoint of the log with this entry.

    The name, 1 to 200 characters (`volens.consent.typed_text`), is stored sealed, and erased with the consent.
    `external_id` is an id of another system, such as a personnel number (`volens.store.people.external_ids`).
    `guardian_signature` is that of the guardian whom the receipt names, and is kept with it (`sign_as_guardian`).
    With `offered_at_desk` the offer is logged with it. `in_transaction` is called in the transaction of 5, for rows
    that must exist exactly when the consent does.

    In a zone of custody ``subject_key`` the person makes the secret and passes its `commitment` (32 bytes,
    `PersonSecret.commitment`). Without one the site makes the secret: the take-home holds it, it is not stored, and it
    must be wiped after it is handed over.

    Raises:
        InputError: the name, external id or commitment is not valid, `signed` is no receipt or not signed by its
            person, or 1 does not hold.
        RefusedError: 2 fails, the receipt was recorded before, the person's consent to this zone is in force already,
            the external id is another person's, or collecting is stopped.
        ErasureIncompleteError: the older consent ended, but its erasure is not finished; the new one was not recorded.

    Not checked: that the person read the notice, and is who the name says; the operator is responsible for both.
    """
    stored_name = parse_name(name)
    if external_id is not None:
        parse_external_id(external_id)
    store = installation.store
    with store.read() as connection:
        # 1.
        zone = zone_of_newest(connection, notice)
        # 2.
        receipt = accept_receipt(store, connection, notice, signed, guardian_signature)
    if commitment is not None:
        check_commitment(zone, commitment)
    receipt_id = receipt.claims.receipt_id
    code = WithdrawalCode.generate(store.random)
    # 3.
    end_replaced_consent(installation, receipt)
    person = None
    if zone.custody is Custody.SUBJECT_KEY and commitment is None:
        person = PersonSecret.generate(store.random)
        commitment = person.commitment(receipt_id)
    take_home = TakeHome(receipt.unverified, code, notice.text, person, site=Defaults(store).public_url())
    # 4.
    with store.keyring.new_grant_secret(receipt_id, store.random, store.now()) as secret:
        try:
            # 5.
            with store.write() as tx:
                if offered_at_desk:
                    record_offer(tx, notice.purpose, OfferWay.DESK, notice.language)
                add_consent(tx, receipt, code, stored_name, secret, guardian_signature)
                shorten(tx, receipt_id=receipt_id)
                if external_id is not None:
                    add_external_id(tx, store.keyring, receipt_id, external_id)
                expires_at = format_time(receipt.claims.expires_at)
                enqueue(tx, MessageKind.CONSENT_GIVEN, {receipt_id: {"expires_at": expires_at}})
                if commitment is not None:
                    add_commitment(tx, receipt, commitment)
                take_home = replace(take_home, checkpoint=tx.newest_checkpoint())
                if in_transaction is not None:
                    in_transaction(tx, take_home)
        except VolensError:
            store.keyring.discard_secrets([receipt_id])
            raise
    return take_home


def give_consent(  # noqa: PLR0913  what a person is offered and says of themselves, by name
    installation: Installation,
    notice: Notice,
    *,
    name: str,
    jurisdiction: str,
    key: SubjectKey,
    valid_days: int | None = None,
    valid_until: datetime | None = None,
    external_id: str | None = None,
    age: AgeAnswer | None = None,
    in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
) -> TakeHome:
    """Offer, sign and accept at the desk, where the person's key is; the receipt says that it was signed there.

    The offer is logged in the transaction that records the consent. With `age.desk_key` a guardian
    signs too.

    Raises:
        VolensError: see `offer_consent` and `accept_consent`.
    """
    parse_name(name)
    desk = SignatureForm.DESK
    term = (valid_days, valid_until)
    guardian = None if age is None else age.desk_key
    offer = _composed(installation.store, notice, key.public, desk, jurisdiction, *term, age)
    return accept_consent(
        installation,
        notice,
        offer.sign(key),
        name=name,
        external_id=external_id,
        guardian_signature=None if guardian is None else sign_as_guardian(offer.document, guardian),
        offered_at_desk=True,
        in_transaction=in_transaction,
    )


def check_commitment(zone: Zone, commitment: bytes) -> None:
    """Check that a zone takes a commitment to the person's secret.

    Raises:
        InputError: in this zone the person holds no secret, or it has another length.
    """
    if zone.custody is not Custody.SUBJECT_KEY or len(commitment) != COMMITMENT_BYTES:
        raise InputError(
            f"got a commitment of {len(commitment)} bytes for zone {zone.purpose!r}; expected {COMMITMENT_BYTES} bytes "
            "in a zone of custody 'subject_key', and none in another"
        )


def parse_name(name: str) -> str:
    """Return a person's name as it is stored.

    Raises:
        InputError: it is empty, longer than `MAX_NAME_LENGTH`, or has characters that are not typed.
    """
    return parse_text(name, "a name", MAX_NAME_LENGTH)


def zone_of_newest(connection: Connection, notice: Notice) -> Zone:
    """Return the zone of a notice that a person was shown.

    Raises:
        InputError: it is not the newest notice of its zone and language.
        RefusedError: the zone was removed.
    """
    zone = zone_of(connection, notice.purpose)
    zone.check_not_removed()
    if notice_of(connection, notice.purpose, notice.language) != notice:
        raise InputError(
            "a newer notice was published meanwhile; show that one to the person, and start again",
            reason=Reason.NEWER_NOTICE,
        )
    return zone
