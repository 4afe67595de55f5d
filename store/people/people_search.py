"""Whom a command means: a receipt in a file, an id, or the name that only the operator's own desk may ask by."""

from sqlalchemy import select

from volens.consent import InputError, ReceiptId
from volens.store.people.consents import live_receipts, name_of
from volens.store.schema import data_tables as tables
from volens.store.store import Store


def receipts_of(store: Store, who: str) -> list[ReceiptId]:
    """Return every consent, in force or ended, of the person meant; empty where there is none.

    Args:
        store: of the site.
        who: a receipt id (32 hex digits), a data subject's id (43 characters), or a name as given with the consent,
            compared without regard to case. Names are sealed and die with the consent, so a name finds those in force.

    Raises:
        InputError: the name is that of several people; ask with the receipt instead.
        TamperError: a sealed name does not open.

    Not checked: that whoever asks may ask. Cost of a name: every sealed name is opened.
    """
    receipt = tables.receipt.c
    with store.read() as connection:
        by_id = connection.scalars(
            select(receipt.receipt_id)
            .where((receipt.receipt_id == who) | (receipt.subject_id == who))
            .order_by(receipt.receipt_id)
        ).all()
        live = live_receipts(connection)
    if by_id:
        return [ReceiptId(one) for one in by_id]
    wanted = who.strip().casefold()
    named = [one for one in live if (name := name_of(store, one)) is not None and name.casefold() == wanted]
    with store.read() as connection:
        subjects = set(connection.scalars(select(receipt.subject_id).where(receipt.receipt_id.in_(named))))
    if len(subjects) > 1:
        raise InputError(f"got a name that {len(subjects)} people have; give the receipt's file or its id instead")
    return named
