"""`Site.rights.own`: what the holder of a receipt or withdrawal code may see and save without an identity check.

A receipt or code shows no identity: anyone may have found the paper. So nothing here tells visits that are older than a
week, or the embedding; the answer to an access request, which the desk hands over, has both.
"""

from typing import final

from volens.consent import NoLiveConsentError, ReceiptId, TakeHome, UnverifiedReceipt, WithdrawalCode
from volens.rights.access_answer import AccessAnswer, answer_access
from volens.rights.decision_explanation import LATELY
from volens.rights.erasure_progress import ErasureProgress, erasure_progress
from volens.rights.own_consents import OwnConsents, own_consents, own_receipts
from volens.rights.request_rows import PersonsRequest, RequestKind, open_request, open_requests_of
from volens.rights.who_may_withdraw import consent_of_code
from volens.store import Store
from volens.store.log import newest_head
from volens.store.people import stored_receipt
from volens.store.people.reissued_codes import notice_agreed_to
from volens.store.people.subject_secrets import commitment_of
from volens.store.promises import Defaults


@final
class OwnData:
    """The data of one person, for that person. `shown` is the consent whose receipt or code was checked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def consents(self, shown: ReceiptId) -> OwnConsents:
        """Return the consents of the person; see `volens.rights.own_consents`."""
        return own_consents(self._store, shown)

    def check(self, shown: ReceiptId, receipt_id: str) -> ReceiptId:
        """Return the id of a consent, if it is one of the person's.

        Raises:
            NoLiveConsentError: it is another person's, or none.
        """
        with self._store.read() as connection:
            for one in own_receipts(connection, shown):
                if one == receipt_id:
                    return one
        raise NoLiveConsentError("this is no consent of this person; nothing was changed")

    def commitment(self, receipt_id: ReceiptId) -> bytes:
        """Return the commitment (32 bytes) to the person's secret, so that a browser can check the secret that it has.

        Raises:
            TamperError: the consent has none, or its rows were changed.
        """
        with self._store.read() as connection:
            return commitment_of(connection, receipt_id)

    def progress(self, receipt_id: ReceiptId) -> ErasureProgress:
        """Return how far the end of a consent has come; see `volens.rights.erasure_progress`."""
        return erasure_progress(self._store, receipt_id)

    def answer(self, receipt_id: ReceiptId) -> AccessAnswer:
        """Answer at once what is held under a consent, in force or ended; without embedding and older visits.

        Raises:
            TamperError, UnavailableError: see `answer_access`.
        """
        since = self._store.now() - LATELY
        return answer_access(self._store, [receipt_id], with_embedding=False, visits_from=since)

    def open_request(self, receipt_id: ReceiptId) -> PersonsRequest | None:
        """Return the person's access request that is open; None without one."""
        with self._store.read() as connection:
            found = open_requests_of(connection, [receipt_id])
        return next((one for one in found if one.kind is RequestKind.ACCESS), None)

    def ask_for_all(self, receipt_id: ReceiptId) -> PersonsRequest:
        """Open a request for the whole answer, which the desk hands over, or return the one that is open."""
        with self._store.write() as tx:
            for one in open_requests_of(tx.connection, [receipt_id]):
                if one.kind is RequestKind.ACCESS:
                    return one
            return open_request(tx, RequestKind.ACCESS, receipt_id)

    def take_home(self, receipt_id: ReceiptId, code: WithdrawalCode) -> TakeHome:
        """Return the take-home file again, for the holder of its code, which the site does not keep.

        Raises:
            NoLiveConsentError: the code is not that of this consent.
            TamperError: the stored receipt was changed.
        """
        with self._store.read() as connection:
            stored = stored_receipt(connection, receipt_id)
            if stored is None or consent_of_code(connection, code) != receipt_id:
                raise NoLiveConsentError("this code is not that of this consent; nothing was changed")
            receipt = UnverifiedReceipt.parse(stored.verified().token.encode("ascii"))
            notice = notice_agreed_to(connection, receipt.claims.notice_sha256)
            checkpoint = newest_head(connection).note
        return TakeHome(receipt, code, notice, checkpoint=checkpoint, site=Defaults(self._store).public_url())
