"""A new withdrawal code for a person who lost theirs, after the operator has checked who the person is."""

from collections.abc import Callable
from dataclasses import replace

from volens.consent import NoLiveConsentError, ReceiptId, TakeHome, UnverifiedReceipt, WithdrawalCode
from volens.store import Store, Transaction
from volens.store.people import stored_receipt
from volens.store.people.reissued_codes import notice_agreed_to, replace_code
from volens.store.promises import Defaults

_ENDED = "there is no consent in force for this receipt; nothing was changed"


def reissue_code(
    store: Store, receipt_id: ReceiptId, in_transaction: Callable[[Transaction, TakeHome], None] | None = None
) -> TakeHome:
    """Return a new take-home file with a new code; the old code stops working with the commit.

    The receipt in it is the one that the person signed. A secret or a badge that the person lost cannot be made again.
    `in_transaction` is called last: if the file cannot be handed over, the old code stays.

    Raises:
        NoLiveConsentError: no consent of this receipt is in force.
        TamperError: the rows of the consent do not verify.
        UnavailableError: the store cannot be written; nothing was changed.

    Not checked: the person's identity. A caller with the new code can end the consent, and nothing else.
    """
    public_url = Defaults(store).public_url()
    with store.write() as tx:
        stored = stored_receipt(tx.connection, receipt_id)
        code = WithdrawalCode.generate(store.random)
        if stored is None or not replace_code(tx, receipt_id, code):
            raise NoLiveConsentError(_ENDED)
        receipt = UnverifiedReceipt.parse(stored.verified().token.encode("ascii"))
        take_home = TakeHome(receipt, code, notice_agreed_to(tx.connection, receipt.claims.notice_sha256))
        take_home = replace(take_home, checkpoint=tx.newest_checkpoint(), site=public_url)
        if in_transaction is not None:
            in_transaction(tx, take_home)
    return take_home
