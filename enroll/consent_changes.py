"""`Site.changes`: what changes under a consent in force, without ending it or starting over."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import final

from volens.consent import Badge, InputError, NoLiveConsentError, Notice, PersonSecret, ReceiptId, SubjectKey, TakeHome
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.enroll.batch_enrollment import Applicant, EnrollmentReport, enroll_people
from volens.enroll.code_reissue import reissue_code
from volens.enroll.enrollment import Enrolled
from volens.enroll.name_correction import correct_name
from volens.enroll.new_photos import NewPhotos, change_photos
from volens.enroll.pending_restrictions import PendingRestrictions
from volens.enroll.renewed_consent import Renewed, accept_renewal, offer_renewal, renew_consent
from volens.face import Extractor
from volens.index import Installation, PersonalToken
from volens.store import Transaction
from volens.store.people import StoredReceipt, stored_receipt
from volens.store.people.consents import live_owner
from volens.store.people.restrictions import restricted_since


@final
class ConsentChanges:
    """Renews and restricts consents, corrects names, takes new photos, and issues codes again.

    Attributes:
        pending: restrictions that the store could not record yet.
    """

    def __init__(self, installation: Installation, load_extractor: Callable[[], Extractor]) -> None:
        self._installation = installation
        self._load_extractor = load_extractor
        self._store = installation.store
        self.pending = PendingRestrictions(installation.store)

    def in_force(self, receipt_ids: Sequence[ReceiptId]) -> StoredReceipt:
        """Return the one of some receipts whose consent is in force.

        Raises:
            NoLiveConsentError: there is none.
            InputError: there are several.
        """
        with self._store.read() as connection:
            live = [one for one in receipt_ids if live_owner(connection, one) is not None]
            found = None if len(live) != 1 else stored_receipt(connection, live[0])
        if len(live) > 1:
            raise InputError(f"expected one consent in force, found {len(live)}; pass the file or id of one receipt")
        if found is None:
            raise NoLiveConsentError("there is no consent in force for this receipt; nothing was changed")
        return found

    def correct_name(self, receipt_id: ReceiptId, name: str) -> None:
        """Replace the name under a consent in force (GDPR 16); see `volens.enroll.name_correction`."""
        correct_name(self._store, receipt_id, name)

    def photos(
        self,
        receipt: bytes,
        new: NewPhotos,
        *,
        progress: Callable[[int, int], None] | None = None,
        carried: PersonalToken = None,
        hand_over: Callable[[Badge], None] | None = None,
    ) -> Enrolled:
        """Replace the photos of a reference, or add photos to it; see `volens.enroll.new_photos.change_photos`."""
        return change_photos(
            self._installation,
            self._load_extractor,
            TakeHome.parse(receipt).receipt,
            new,
            progress=progress,
            carried=carried,
            hand_over=hand_over,
        )

    def restrict(self, receipt_id: ReceiptId) -> datetime:
        """Restrict a consent (GDPR 18): matching stops at once, and nothing is erased. Return since when.

        Once it returns, no decision that begins matches the person, in any process, and one that runs does not either.
        The term goes on running; the person can withdraw, renew and correct. A repeated call changes nothing.
        Recipients get the message `consent.restricted` (GDPR 19).

        If the store cannot be written, matching stops in memory all the same (`volens.enroll.pending_restrictions`).

        Raises:
            NoLiveConsentError: no consent of this receipt is in force.
            RestrictionPendingError: matching has stopped in memory, and the restriction is retried until recorded.
            UnavailableError: the store cannot be written, and no thread of this process retries: nothing is restricted.
        """
        return self.pending.restrict(receipt_id)

    def lift_restriction(self, receipt_id: ReceiptId) -> bool:
        """Lift the restriction of a consent: the person matches again. False if there was none.

        Raises:
            NoLiveConsentError: no consent of this receipt is in force.
            UnavailableError: the store cannot be written; nothing was changed.

        Not checked: that the person wants it. Have their code or receipt (`Rights.consent_shown`), or check who they
        are.
        """
        return self.pending.lift(receipt_id)

    def restricted_since(self, receipt_id: ReceiptId) -> datetime | None:
        """Return since when a consent is restricted; None if it is not, or is not in force."""
        with self._store.read() as connection:
            return restricted_since(connection, receipt_id)

    def enroll_people(self, people: Sequence[Applicant], *, allow_few: bool = False) -> Iterator[EnrollmentReport]:
        """Enroll many people who gave consent; see `volens.enroll.batch_enrollment`."""
        return enroll_people(self._installation, self._load_extractor, people, allow_few=allow_few)

    def reissue_code(
        self, receipt_id: ReceiptId, in_transaction: Callable[[Transaction, TakeHome], None] | None = None
    ) -> TakeHome:
        """Return a new take-home file with a new withdrawal code; see `volens.enroll.code_reissue`."""
        return reissue_code(self._store, receipt_id, in_transaction)

    def offer_renewal(
        self,
        receipt_id: ReceiptId,
        notice: Notice,
        *,
        form: SignatureForm | None = None,
        valid_days: int | None = None,
    ) -> ReceiptOffer:
        """Return a receipt for the person to sign again with the same key; see `volens.enroll.renewed_consent`."""
        return offer_renewal(self._installation, receipt_id, notice, form=form, valid_days=valid_days)

    def accept_renewal(
        self,
        receipt_id: ReceiptId,
        notice: Notice,
        signed: bytes,
        *,
        carried: PersonalToken = None,
        new_half: PersonSecret | bytes | None = None,
        hand_over: Callable[[Badge], None] | None = None,
        in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
    ) -> Renewed:
        """Renew a consent in force, without new photos and without a gap; see `volens.enroll.renewed_consent`."""
        return accept_renewal(
            self._installation,
            receipt_id,
            notice,
            signed,
            carried=carried,
            new_half=new_half,
            hand_over=hand_over,
            in_transaction=in_transaction,
        )

    def renew(
        self,
        receipt_id: ReceiptId,
        notice: Notice,
        *,
        key: SubjectKey,
        valid_days: int | None = None,
        carried: PersonalToken = None,
        hand_over: Callable[[Badge], None] | None = None,
        in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
    ) -> Renewed:
        """Offer, sign and accept a renewal at the desk; see `renew_consent`."""
        return renew_consent(
            self._installation,
            receipt_id,
            notice,
            key=key,
            valid_days=valid_days,
            carried=carried,
            hand_over=hand_over,
            in_transaction=in_transaction,
        )
