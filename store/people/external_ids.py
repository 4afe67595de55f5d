"""External ids: the personnel number of a person, with which the staff list can report that the person left.

The store keeps a keyed hash of it, different in each zone, and only while the consent is in force. The key is derived
from the site's keyring (`Keyring.derived_key`): a stolen data file discloses no number, though numbers are easy to try.
"""

import hmac
from typing import Final

from sqlalchemy import Connection, insert, select

from volens.consent import DataSubjectId, NoLiveConsentError, Purpose, ReceiptId, RefusedError
from volens.consent.reason import Reason
from volens.consent.typed_text import comparison_key, parse_text
from volens.store.keys.keyring import Keyring
from volens.store.people.consents import authenticate_consents, live_owner
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import external_id as table
from volens.store.transaction import Transaction

MAX_EXTERNAL_ID_LENGTH: Final = 200
_NO_CONSENT: Final = "there is no consent in force for this receipt; nothing was changed"


def parse_external_id(text: str) -> str:
    """Return an external id in its stored form; see `volens.consent.typed_text.parse_text`.

    Raises:
        InputError: it is empty, longer than `MAX_EXTERNAL_ID_LENGTH`, or has a character that is refused.
    """
    return parse_text(text, "an external id", MAX_EXTERNAL_ID_LENGTH)


def external_digest(keyring: Keyring, zone: Purpose, external_id: str) -> bytes:
    """Return the keyed hash of an external id in a zone: 32 bytes, over its comparison key.

    Two ids that differ only in case, width or separators of one kind are one id.
    """
    with keyring.derived_key(f"external ids|{zone}") as key:
        return hmac.digest(key.buffer, comparison_key(parse_external_id(external_id)).encode("utf-8"), "sha256")


def add_external_id(tx: Transaction, keyring: Keyring, receipt_id: ReceiptId, external_id: str) -> None:
    """Link an external id to a consent in force. Idempotent for the same id.

    Raises:
        InputError: see `parse_external_id`.
        NoLiveConsentError, RefusedError: see `add_external_digest`.
    """
    owner = live_owner(tx.connection, receipt_id)
    if owner is None:
        raise NoLiveConsentError(_NO_CONSENT)
    add_external_digest(tx, receipt_id, external_digest(keyring, Purpose(owner["purpose"]), external_id))


def add_external_digest(tx: Transaction, receipt_id: ReceiptId, digest: bytes) -> None:
    """Link an external id to a consent in force, by its keyed hash for the zone of that consent.

    Raises:
        NoLiveConsentError: no consent of this receipt is in force.
        RefusedError: the consent has another external id, or another person in this zone has this one.
        TamperError: the rows of a consent were changed.
    """
    owner = live_owner(tx.connection, receipt_id)
    if owner is None:
        raise NoLiveConsentError(_NO_CONSENT)
    zone = Purpose(owner["purpose"])
    own = tx.connection.scalar(select(table.c.digest).where(table.c.receipt_id == receipt_id))
    if own is not None:
        if hmac.compare_digest(own, digest):
            return
        raise RefusedError(
            "this consent has another external id already; withdraw it, and give a new one", reason=Reason.ID_OTHER
        )
    if consent_with_digest(tx.connection, zone, digest) is not None:
        raise RefusedError(
            f"another consent in zone {zone!r} has this external id already; check the number, or withdraw that one",
            reason=Reason.ID_TAKEN,
        )
    with tx.changing(Scope.CONSENT, [receipt_id]):
        tx.connection.execute(insert(table), {**owner, "digest": digest})
        tx.log("external_id.linked", owner, receipt_id=receipt_id)


def consent_linked(
    connection: Connection, keyring: Keyring, zone: Purpose, external_id: str
) -> tuple[ReceiptId, DataSubjectId] | None:
    """Return the consent in force in a zone that an external id is linked to, and its person; None if there is none.

    Raises:
        TamperError: the rows of that consent were changed; the id may be another person's.
    """
    return consent_with_digest(connection, zone, external_digest(keyring, zone, external_id))


def consent_with_digest(connection: Connection, zone: Purpose, digest: bytes) -> tuple[ReceiptId, DataSubjectId] | None:
    """Return what `consent_linked` does, for the keyed hash of an external id."""
    row = connection.execute(select(table).where(table.c.purpose == zone, table.c.digest == digest)).one_or_none()
    if row is None:
        return None
    authenticate_consents(connection, [ReceiptId(row.receipt_id)])
    return ReceiptId(row.receipt_id), DataSubjectId(row.subject_id)
