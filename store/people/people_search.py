"""Finds a person's consents by an id, a name or an external id.

Only the operator's own commands learn who has a name. The service learns only that no one has it, for an answer that
nothing is held.
"""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from volens.consent import DataSubjectId, InputError, Purpose, ReceiptId
from volens.consent.ids import RECEIPT_ID
from volens.consent.typed_text import comparison_key, nearest, parse_code, parse_text
from volens.store.people.consents import StoredReceipt, name_of, stored_receipt
from volens.store.people.consents_in_force import live_receipts
from volens.store.people.external_ids import MAX_EXTERNAL_ID_LENGTH, consent_linked
from volens.store.schema import data_tables as tables
from volens.store.store import Store

COMPARED_WITH: Final = (
    "receipt id",
    "subject id",
    "name of a consent in force",
    "external id of a consent in force",
    "name, external id or link of an open invitation",
)
"""The identifiers that an answer to an access request compares a text with: `receipts_of`, and `invitations_about`."""

MAX_SEARCH_LENGTH: Final = MAX_EXTERNAL_ID_LENGTH
_receipt = tables.receipt.c


class SeveralPeopleError(InputError):
    """Several people have the name that was searched for. `receipt_ids` are the consents of all of them."""

    receipt_ids: tuple[ReceiptId, ...] = ()


def receipts_of(store: Store, who: str) -> list[ReceiptId]:
    """Return every consent of a person, in force or ended; empty if there is none.

    1. `who` is a receipt id (32 hex digits, typed in any case and in groups) or a data subject's id (43 characters).
       The consent of a receipt id comes first, then the others that the same key has signed.
    2. Or it is a name as given with the consent, or an external id such as a personnel number. Both are compared by
       `volens.consent.typed_text.comparison_key`. They are sealed or hashed, and erased with the consent, so they find
       only consents in force; an external id then finds the person's other consents too. A text without a letter is
       no name.

    Raises:
        InputError: `who` has a character that no name has; see `parse_text`.
        SeveralPeopleError: several people have this name; use the receipt or an id instead.
        TamperError: a sealed name does not open, or the rows of a consent with this external id do not verify.

    Not checked: whether the caller may search. Cost of a name: every sealed name is opened.
    """
    plain = parse_text(who, "a receipt, id or name", MAX_SEARCH_LENGTH)
    receipt_id = parse_code(plain).lower()
    # 1.
    with store.read() as connection:
        named = stored_receipt(connection, ReceiptId(receipt_id)) if RECEIPT_ID.fullmatch(receipt_id) else None
        if named is not None:
            return all_of_signer(connection, named)
        found = receipts_of_subject(connection, DataSubjectId(plain))
    if found:
        return found
    # 2.
    if not any(map(str.isalpha, plain)):  # no name: nothing is opened for a personnel number
        return _with_external_id(store, plain)
    wanted = comparison_key(plain)
    by_name = [one for one, name in _names(store) if comparison_key(name) == wanted]
    if not by_name:
        return _with_external_id(store, plain)
    with store.read() as connection:
        subjects = set(connection.scalars(select(_receipt.subject_id).where(_receipt.receipt_id.in_(by_name))))
    if len(subjects) > 1:
        error = SeveralPeopleError(
            f"got a name that {len(subjects)} people have; give the receipt's file or its id instead"
        )
        error.receipt_ids = tuple(by_name)
        raise error
    return by_name


def all_of_signer(connection: Connection, receipt: StoredReceipt) -> list[ReceiptId]:
    """Return a consent, and after it the others that the same key has signed, in force or ended.

    Raises:
        TamperError: the stored receipt was changed: its row may name another person.
    """
    others = receipts_of_subject(connection, receipt.verified().claims.subject_id)
    return [receipt.receipt_id, *(one for one in others if one != receipt.receipt_id)]


def receipts_of_subject(connection: Connection, subject_id: DataSubjectId) -> list[ReceiptId]:
    """Return the consents of a data subject's id, in force or ended."""
    query = select(_receipt.receipt_id).where(_receipt.subject_id == subject_id).order_by(_receipt.receipt_id)
    return [ReceiptId(one) for one in connection.scalars(query)]


def names_near(store: Store, who: str, most: int = 3) -> list[str]:
    """Return up to `most` names of consents in force that are nearly `who`, the nearest first.

    Only for the operator at the machine: the answer has names of people. Cost: every sealed name is opened.
    """
    return nearest(who, (name for _, name in _names(store)), most)


def _names(store: Store) -> Iterator[tuple[ReceiptId, str]]:
    with store.read() as connection:
        live = live_receipts(connection)
    for one in live:
        name = name_of(store, one)
        if name is not None:
            yield one, name


def _with_external_id(store: Store, external_id: str) -> list[ReceiptId]:
    """Return the consents of the people whom an external id belongs to in any zone.

    Raises:
        SeveralPeopleError: it is one person's in one zone and another's in another.
    """
    with store.read() as connection:
        zones = [Purpose(one) for one in connection.scalars(select(tables.zone.c.purpose))]
        linked = [consent_linked(connection, store.keyring, zone, external_id) for zone in zones]
        subjects = {one[1] for one in linked if one is not None}
        found = [receipt_id for one in sorted(subjects) for receipt_id in receipts_of_subject(connection, one)]
    if len(subjects) > 1:
        error = SeveralPeopleError(f"got an external id of {len(subjects)} people; give the receipt's file or its id")
        error.receipt_ids = tuple(found)
        raise error
    return found
