"""Second factors: the badge number or PIN that a zone requires besides the face. Only verifiers are stored.

| kind | `lookup`, finds the person | `verifier`, decides |
|---|---|---|
| badge | HMAC-SHA256 of the number | HMAC-SHA256 of receipt and number |
| pin | none | scrypt of the HMAC-SHA256 of receipt and PIN, with a random salt |

The key of the HMAC is derived from the site's keyring, a different one for each zone (`Keyring.derived_key`), and
outlives key rotations: a data file alone discloses nothing. With the keyring as well, badge numbers can be tried
quickly, and PINs at the cost of one scrypt each.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import Connection, bindparam, case, delete, insert, or_, select, update

from volens.consent import (
    NoLiveConsentError,
    Purpose,
    ReceiptId,
    RefusedError,
    SecondFactor,
    ShownFactor,
    check_kind,
)
from volens.consent.reason import Reason
from volens.store.keys.keyring import Keyring
from volens.store.people.consents import authenticate_consents, live_owner
from volens.store.promises.zones_and_notices import zone_of
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import second_factor as table
from volens.store.schema.personal_tables import OWNER
from volens.store.store import Store
from volens.store.transaction import Transaction

MOST_FAILURES: Final = 5
"""After this many wrong PINs, each within `LOCKED_FOR` of the one before, the PIN is locked for `LOCKED_FOR`."""

LOCKED_FOR: Final = timedelta(minutes=15)

SCRYPT: Final = {"n": 2**15, "r": 8, "p": 3}
"""32 MiB and a quarter of a second (docs/adr/0025). Another cost needs another version byte in the verifier."""

_VERSION: Final = b"\x01"
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
# Named parameters, because a literal value would stay in SQLAlchemy's statement cache.
_FOUND: Final = select(table.c.receipt_id, table.c.subject_id, table.c.verifier).where(
    table.c.purpose == bindparam("in_zone"), table.c.lookup == bindparam("sought")
)
_END: Final = (
    update(table)
    .where(table.c.receipt_id == bindparam("of"), table.c.verifier == bindparam("compared"))
    .values(failures=0)
)


@final
@dataclass(frozen=True, slots=True)
class FactorState:
    """The state of a person's second factor, without its value.

    Attributes:
        locked_until: when the lock after too many wrong PINs ends; None if it is not locked.
    """

    kind: SecondFactor
    set_at: datetime
    locked_until: datetime | None


@final
class Factors:
    """Sets and removes the second factors of people, at the desk."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, receipt_id: ReceiptId, factor: ShownFactor, zone: Purpose | None = None) -> None:
        """Set a person's second factor, and replace the one before: a lost card stops working at once.

        The factor itself is not stored; the caller wipes it. `zone` is the only zone that the caller may change; None
        for any.

        Raises:
            InputError: the zone requires another kind, or the PIN is one of the most guessed.
            NoLiveConsentError: no consent of this receipt is in force, or not in this zone.
            RefusedError: the zone requires none, or another person there has this badge.
        """
        factor.refuse_if_obvious()
        with self._store.read() as connection:
            owner = _owner(connection, receipt_id, zone)
            required = zone_of(connection, owner["purpose"]).second_factor
        if required is SecondFactor.NONE:
            raise RefusedError(
                f"zone {owner['purpose']!r} requires no second factor; nothing was stored",
                reason=Reason.NO_FACTOR_REQUIRED,
            )
        check_kind(required, factor)
        salt = self._store.random(_SALT_BYTES) if required is SecondFactor.PIN else None
        lookup = _lookup(self._store.keyring, owner["purpose"], factor) if salt is None else None
        kept = {
            "kind": required.value,
            "lookup": lookup,
            "salt": salt,
            "verifier": _verifier(self._store.keyring, owner["purpose"], owner["subject_id"], factor, salt),
        }
        with self._store.write() as tx:
            _owner(tx.connection, receipt_id, zone)  # checked again: the consent may have ended meanwhile
            if lookup is not None:
                found = tx.connection.execute(_FOUND, {"in_zone": owner["purpose"], "sought": lookup}).one_or_none()
                if found is not None and found.receipt_id != receipt_id:
                    raise RefusedError(
                        f"another person in zone {owner['purpose']!r} has this badge; check the number, or remove it "
                        "there",
                        reason=Reason.BADGE_TAKEN,
                    )
            with tx.changing(Scope.CONSENT, [receipt_id]):
                tx.connection.execute(delete(table).where(table.c.receipt_id == receipt_id))
                tx.connection.execute(insert(table), owner | kept | {"set_at": tx.now, "failures": 0, "tried_at": None})
                tx.log("factor.set", owner | {"kind": required.value}, receipt_id=receipt_id)
        self._store.data.scrub()  # removes the replaced one from there too, unless another process is reading

    def remove(self, receipt_id: ReceiptId, zone: Purpose | None = None) -> bool:
        """Remove a person's second factor; without one the person does not match. False if there was none.

        Raises:
            NoLiveConsentError: no consent of this receipt is in force, or not in this zone.
        """
        with self._store.write() as tx:
            owner = _owner(tx.connection, receipt_id, zone)
            mine = table.c.receipt_id == receipt_id
            is_gone = tx.connection.scalar(select(table.c.receipt_id).where(mine)) is not None
            if is_gone:
                with tx.changing(Scope.CONSENT, [receipt_id]):
                    tx.connection.execute(delete(table).where(mine))
                    tx.log("factor.removed", owner, receipt_id=receipt_id)
        self._store.data.scrub()
        return is_gone

    def of(self, receipt_id: ReceiptId) -> FactorState | None:
        """Return the state of a person's second factor; None if there is none."""
        with self._store.read() as connection:
            row = connection.execute(select(table).where(table.c.receipt_id == receipt_id)).one_or_none()
        if row is None:
            return None
        until = row.tried_at + LOCKED_FOR if row.failures >= MOST_FAILURES else None
        is_locked = until is not None and until > self._store.now()
        return FactorState(SecondFactor(row.kind), row.set_at, until if is_locked else None)


def badge_owner(store: Store, purpose: Purpose, badge: ShownFactor) -> ReceiptId | None:
    """Return the consent in force that a badge number belongs to in a zone; None if there is none.

    Raises:
        TamperError: the rows of that person were changed, or put in the place of another's.
    """
    lookup = _lookup(store.keyring, purpose, badge)
    with store.read() as connection:
        row = connection.execute(_FOUND, {"in_zone": purpose, "sought": lookup}).one_or_none()
        if row is None:
            return None
        receipt_id = ReceiptId(row.receipt_id)
        authenticate_consents(connection, [receipt_id])
    if not hmac.compare_digest(row.verifier, _verifier(store.keyring, purpose, row.subject_id, badge, None)):
        raise store.seals.damaged("the row of a badge number is not of the person it was set for")
    return receipt_id


def pin_owner(store: Store, purpose: Purpose, people: Sequence[ReceiptId], pin: ShownFactor) -> ReceiptId | None:
    """Return the owner of a PIN, of some people of a zone whose faces are known; None if it is not exactly one.

    1. For each of them a try is counted before the PIN is compared, by one conditional statement: however many doors
       and processes ask at once, at most `MOST_FAILURES` are compared. People who are locked or lack a PIN are skipped.
    2. The PIN is compared with each of theirs, in constant time.
    3. If it belongs to exactly one person, that person's count is reset, unless the consent ended meanwhile, and the
       tries of the others are taken back, because they tried nothing. If it belongs to none of them, all tries stay.

    Raises:
        UnavailableError: the store cannot be written, and so no try can be counted.
        TamperError: the rows of one of these people were changed.
    """
    # 1.
    with store.write() as tx:
        counted = [one for one in dict.fromkeys(people) if _count_try(tx, purpose, one)]
        query = select(table).where(table.c.receipt_id.in_(counted))
        rows = {ReceiptId(row["receipt_id"]): dict(row) for row in tx.connection.execute(query).mappings()}
        authenticate_consents(tx.connection, rows)
    # 2.
    fitting = [
        one
        for one, row in rows.items()
        if hmac.compare_digest(row["verifier"], _verifier(store.keyring, purpose, row["subject_id"], pin, row["salt"]))
    ]
    # 3.
    with store.write() as tx:
        if not fitting:
            for one, row in rows.items():
                if row["failures"] >= MOST_FAILURES:
                    tx.log("factor.locked", {name: row[name] for name in OWNER}, receipt_id=one)
            return None
        owner = fitting[0] if len(fitting) == 1 else None
        others = update(table).where(table.c.receipt_id.in_([one for one in rows if one != owner]))
        tx.connection.execute(others.where(table.c.failures > 0).values(failures=table.c.failures - 1))
        if owner is None:
            return None
        ended = tx.connection.execute(_END, {"of": owner, "compared": rows[owner]["verifier"]}).rowcount
        return owner if ended else None


def _count_try(tx: Transaction, purpose: Purpose, receipt_id: ReceiptId) -> bool:
    since = tx.now - LOCKED_FOR
    tried = (
        update(table)
        .where(table.c.receipt_id == receipt_id, table.c.purpose == purpose, table.c.kind == SecondFactor.PIN.value)
        .where(or_(table.c.failures < MOST_FAILURES, table.c.tried_at <= since))
        .values(failures=case((table.c.tried_at > since, table.c.failures + 1), else_=1), tried_at=tx.now)
    )
    return tx.connection.execute(tried).rowcount > 0


def _owner(connection: Connection, receipt_id: ReceiptId, zone: Purpose | None) -> dict[str, Any]:
    owner = live_owner(connection, receipt_id)
    if owner is None or zone not in {None, owner["purpose"]}:
        raise NoLiveConsentError("there is no consent in force for this receipt; nothing was changed")
    return owner


def _lookup(keyring: Keyring, purpose: Purpose, badge: ShownFactor) -> bytes:
    return _VERSION + _keyed(keyring, purpose, b"badge\0", badge)


def _verifier(keyring: Keyring, purpose: Purpose, subject_id: str, factor: ShownFactor, salt: bytes | None) -> bytes:
    """Return the verifier, bound to zone and person, and not to the receipt: it stays valid when consent is renewed."""
    keyed = _keyed(keyring, purpose, f"{factor.kind} of {subject_id}\0".encode("ascii"), factor)
    if salt is None:
        return _VERSION + keyed
    return _VERSION + Scrypt(salt=salt, length=_HASH_BYTES, **SCRYPT).derive(keyed)


def _keyed(keyring: Keyring, purpose: Purpose, what: bytes, factor: ShownFactor) -> bytes:
    message = bytearray(what) + factor.buffer
    try:
        with keyring.derived_key(f"second factor|{purpose}") as key:
            return hmac.digest(key.buffer, message, "sha256")
    finally:
        message[:] = bytes(len(message))
