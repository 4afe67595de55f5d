"""Finds a person's consents by an id or by name. Only the operator's own commands search by name."""

from sqlalchemy import select

from volens.consent import InputError, ReceiptId
from volens.store.people.consents import live_receipts, name_of
from volens.store.schema import data_tables as tables
from volens.store.store import Store


def receipts_of(store: Store, who: str) -> list[ReceiptId]:
    """Return every consent of a person, in force or ended; empty if there is none.

    `who` is a receipt id (32 hex digits), a data subject's id (43 characters), or a name as given with the consent,
    compared without case. Names are sealed and erased with the consent, so a name finds only consents in force.

    Raises:
        InputError: several people have this name; use the receipt instead.
        TamperError: a sealed name does not open.

    Not checked: whether the caller may search. Cost of a name: every sealed name is opened.
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
