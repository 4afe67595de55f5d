"""The part of `Site` by which a person gives consent: offer a receipt, accept it signed, or do both at the desk."""

from collections.abc import Callable
from datetime import datetime

from volens.consent import Notice, SubjectKey, TakeHome
from volens.consent.age_statement import AgeAnswer
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.consent.subject_key import SubjectPublicKey
from volens.enroll import accept_consent, give_consent, offer_consent
from volens.enroll.offers import OfferWay
from volens.index import Installation
from volens.store import Transaction
from volens.store.people.disclosures import COMMAND_LINE


class ConsentGiving:
    """Methods of `Site`."""

    installation: Installation

    def offer_consent(
        self,
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
        """Return a receipt for a person who read `notice` to sign elsewhere; see `volens.enroll.offer_consent`."""
        return offer_consent(
            self.installation,
            notice,
            public_key=public_key,
            form=form,
            jurisdiction=jurisdiction,
            valid_days=valid_days,
            valid_until=valid_until,
            way=way,
            offered_by=offered_by,
            age=age,
        )

    def accept_consent(
        self,
        notice: Notice,
        signed: bytes,
        *,
        name: str,
        external_id: str | None = None,
        commitment: bytes | None = None,
        guardian_signature: str | None = None,
        in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
    ) -> TakeHome:
        """Record the consent of a person who signed the offered receipt; see `volens.enroll.accept_consent`."""
        return accept_consent(
            self.installation,
            notice,
            signed,
            name=name,
            external_id=external_id,
            commitment=commitment,
            guardian_signature=guardian_signature,
            in_transaction=in_transaction,
        )

    def give_consent(
        self,
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
        """Offer, sign and accept at the desk, with the person's key at hand; see `volens.enroll.give_consent`."""
        return give_consent(
            self.installation,
            notice,
            name=name,
            jurisdiction=jurisdiction,
            key=key,
            age=age,
            valid_days=valid_days,
            valid_until=valid_until,
            external_id=external_id,
            in_transaction=in_transaction,
        )
