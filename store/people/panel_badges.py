"""Badge numbers at the panel of the house, sealed under the consent of their people.

A door that is a reader of the panel (`volens.service.door.osdp_reader`) sends the number after a match. The key is
derived from the grant secret and the signed receipt, so the number does not open after the consent has ended. A renewed
consent takes it over, sealed again.

Not checked: that two people have different numbers (the panel would refuse, and no hash of a number is kept here), and
that the panel knows the number. A program that writes into the data file can put back an earlier number of the same
person, and not another person's.
"""

from collections.abc import Mapping
from typing import Final, final

from sqlalchemy import Connection, bindparam, delete, insert, select

from volens.consent import Custody, NoLiveConsentError, Purpose, ReceiptId, RefusedError, TamperError, VerifiedReceipt
from volens.consent.panel_badge import PanelBadge
from volens.store.keys import GrantSecret, Random, sealing
from volens.store.people.consents import StoredReceipt, live_owner, stored_receipt
from volens.store.promises.zones_and_notices import zone_of
from volens.store.schema.data_tables import panel_badge as table
from volens.store.schema.personal_tables import OWNER
from volens.store.store import Store
from volens.store.transaction import Transaction

_SIZE_BYTES: Final = 64
# A named parameter, because a literal value would stay in SQLAlchemy's statement cache.
_BOX: Final = select(table.c.sealed_number).where(table.c.receipt_id == bindparam("of"))


@final
class PanelBadges:
    """Sets, removes and opens the badge numbers of people."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, receipt_id: ReceiptId, badge: PanelBadge) -> None:
        """Set a person's badge number, and replace the one before.

        Raises:
            NoLiveConsentError: no consent of this receipt is in force.
            RefusedError: in this zone the person holds the key, so no door searches it.
            TamperError: the stored receipt is not what the person signed.
        """
        with self._store.read() as connection:
            owner, receipt = _owner(connection, receipt_id), stored_receipt(connection, receipt_id)
            custody = zone_of(connection, Purpose(owner["purpose"])).custody
        if custody is not Custody.OPERATOR:
            raise RefusedError(
                f"zone {owner['purpose']!r} has custody {custody.value}, where people hold their key; a "
                "badge number for the panel needs a zone with custody operator"
            )
        if receipt is None:
            raise self._store.seals.damaged("a consent in force has no receipt")
        receipt.verified()
        with self._store.keyring.grant_secret(receipt_id) as secret:
            box = seal_panel_badge(badge, owner, receipt.sha256, secret, self._store.random)
        with self._store.write() as tx:
            _owner(tx.connection, receipt_id)  # checked again: the consent may have ended meanwhile
            tx.connection.execute(delete(table).where(table.c.receipt_id == receipt_id))
            add_panel_badge(tx, owner, box)
            tx.log("panel_badge.set", owner, receipt_id=receipt_id)
        self._store.data.scrub()  # removes the replaced one from there too, unless another process is reading

    def remove(self, receipt_id: ReceiptId) -> bool:
        """Remove a person's badge number; the panel gets none after a match. False if there was none.

        Raises:
            NoLiveConsentError: no consent of this receipt is in force.
        """
        with self._store.write() as tx:
            owner = _owner(tx.connection, receipt_id)
            is_gone = tx.connection.execute(delete(table).where(table.c.receipt_id == receipt_id)).rowcount > 0
            if is_gone:
                tx.log("panel_badge.removed", owner, receipt_id=receipt_id)
        self._store.data.scrub()
        return is_gone

    def of(self, receipt_id: ReceiptId) -> PanelBadge | None:
        """Open the badge number of a person whose consent is in force; None if there is none, or no such consent.

        Raises:
            TamperError: the sealed number is another person's, or was changed.
        """
        with self._store.read() as connection:
            box = sealed_panel_badge(connection, receipt_id)
            receipt = None if box is None else stored_receipt(connection, receipt_id)
        if box is None or receipt is None:
            return None
        try:
            secret = self._store.keyring.grant_secret(receipt_id)
        except TamperError:
            with self._store.read() as connection:
                if sealed_panel_badge(connection, receipt_id) is None:
                    return None  # another process ended the consent between the two files
            raise
        with secret:
            return open_panel_badge(receipt, box, secret)


def sealed_panel_badge(connection: Connection, receipt_id: ReceiptId) -> bytes | None:
    """Return the sealed badge number of a consent in force; None if there is none."""
    return connection.scalar(_BOX, {"of": receipt_id})


def open_panel_badge(receipt: StoredReceipt, box: bytes, secret: GrantSecret) -> PanelBadge:
    """Open a sealed badge number. The buffer is zeroed; the caller wipes the secret.

    Raises:
        TamperError: it is another person's, or was changed.
    """
    text = bytearray(max(0, len(box) - sealing.OVERHEAD_BYTES))
    context = _context(receipt.receipt_id, receipt.subject_id, receipt.purpose)
    try:
        with secret.profile_key(receipt.sha256) as key:
            sealing.open_into(box, key, context, text)
        return PanelBadge.parse(text.decode("ascii").rstrip("\0"))
    finally:
        text[:] = bytes(len(text))


def seal_panel_badge(
    badge: PanelBadge, owner: Mapping[str, str], receipt_sha256: bytes, secret: GrantSecret, random: Random
) -> bytes:
    """Seal a badge number for the consent that `owner` (the columns of `OWNER`) names; all boxes have one size."""
    plain = bytearray(badge.text.encode("ascii").ljust(_SIZE_BYTES, b"\0"))
    try:
        with secret.profile_key(receipt_sha256) as key:
            return sealing.seal(plain, key, _context(**owner), random)
    finally:
        plain[:] = bytes(len(plain))


def add_panel_badge(tx: Transaction, owner: Mapping[str, str], box: bytes) -> None:
    """Insert a sealed badge number under the consent that `owner` names."""
    tx.connection.execute(insert(table), {**owner, "sealed_number": box, "set_at": tx.now})


def renew_panel_badge(
    tx: Transaction,
    box: bytes,
    old: StoredReceipt,
    old_secret: GrantSecret,
    new: VerifiedReceipt,
    new_secret: GrantSecret,
) -> None:
    """Seal a badge number again, for the consent that takes the place of the old one.

    Raises:
        TamperError: it is another person's, or was changed.
    """
    owner = {name: str(getattr(new.claims, name)) for name in OWNER}
    number = open_panel_badge(old, box, old_secret)
    add_panel_badge(tx, owner, seal_panel_badge(number, owner, new.sha256, new_secret, tx.random))


def _owner(connection: Connection, receipt_id: ReceiptId) -> dict[str, str]:
    owner = live_owner(connection, receipt_id)
    if owner is None:
        raise NoLiveConsentError("there is no consent in force for this receipt; nothing was changed")
    return owner


def _context(receipt_id: str, subject_id: str, purpose: str) -> bytes:
    """Return the associated data of a sealed badge number: moved to another owner or zone, it does not open."""
    return sealing.context("panel badge", receipt_id, subject_id, purpose)
