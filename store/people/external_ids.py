"""What others call our people: the personnel number, so that whoever keeps the staff list can say who left.

The store keeps a keyed hash of it, another one in each zone, and only while the consent is in force. The key is the
site's (`Keyring.derived_key`): a stolen data file does not tell a number, though numbers are easily tried.
"""

import hmac
import unicodedata
from typing import Final

from sqlalchemy import Connection, insert, select

from volens.consent import DataSubjectId, InputError, NoLiveConsentError, Purpose, ReceiptId, RefusedError
from volens.store.keys.keyring import Keyring
from volens.store.schema.data_tables import live_consent
from volens.store.schema.schema_senders import external_id as table
from volens.store.store import Transaction

MAX_EXTERNAL_ID_LENGTH: Final = 200


def parse_external_id(text: str) -> str:
    """Return an external id without the blanks around it, in one form of Unicode (NFC); letters keep their case.

    Raises:
        InputError: nothing is left, or more than `MAX_EXTERNAL_ID_LENGTH`, or what does not print.
    """
    plain = unicodedata.normalize("NFC", text.strip())
    if not 1 <= len(plain) <= MAX_EXTERNAL_ID_LENGTH or not plain.isprintable():
        raise InputError(
            f"got an external id of {len(plain)} characters; expected 1 to {MAX_EXTERNAL_ID_LENGTH} to print"
        )
    return plain


def external_digest(keyring: Keyring, zone: Purpose, external_id: str) -> bytes:
    """Return the 32 bytes by which a zone knows an external id."""
    with keyring.derived_key(f"external ids|{zone}") as key:
        return hmac.digest(key.buffer, parse_external_id(external_id).encode("utf-8"), "sha256")


def add_external_id(tx: Transaction, keyring: Keyring, receipt_id: ReceiptId, external_id: str) -> None:
    """Record what others call the person of a consent in force. The same a second time changes nothing.

    Raises:
        InputError: an external id that is none.
        NoLiveConsentError: no consent of this receipt is in force.
        RefusedError: the consent has another one, or another person in this zone has this one.
    """
    live = tx.connection.execute(select(live_consent).where(live_consent.c.receipt_id == receipt_id)).one_or_none()
    if live is None:
        raise NoLiveConsentError("there is no consent in force for this receipt; nothing was changed")
    zone = Purpose(live.purpose)
    digest = external_digest(keyring, zone, external_id)
    own = tx.connection.scalar(select(table.c.digest).where(table.c.receipt_id == receipt_id))
    if own is not None:
        if hmac.compare_digest(own, digest):
            return
        raise RefusedError("this consent has another external id already; withdraw it, and give a new one")
    if consent_linked(tx.connection, keyring, zone, external_id) is not None:
        raise RefusedError(
            f"another consent in zone {zone!r} has this external id already; check the number, or withdraw that one"
        )
    owner = {"receipt_id": receipt_id, "subject_id": live.subject_id, "purpose": zone}
    tx.connection.execute(insert(table), {**owner, "digest": digest})
    tx.log("external_id.linked", owner, receipt_id=receipt_id)


def consent_linked(
    connection: Connection, keyring: Keyring, zone: Purpose, external_id: str
) -> tuple[ReceiptId, DataSubjectId] | None:
    """Return the consent in force in a zone that an external id stands for, and whose it is; None if there is none."""
    digest = external_digest(keyring, zone, external_id)
    row = connection.execute(select(table).where(table.c.purpose == zone, table.c.digest == digest)).one_or_none()
    return None if row is None else (ReceiptId(row.receipt_id), DataSubjectId(row.subject_id))
