"""Second factors: what people of a zone show besides their face. Kept is what tells it again, never the thing itself.

| kind | `lookup`, finds the person | `verifier`, decides |
|---|---|---|
| badge | HMAC-SHA256 of the number | HMAC-SHA256 of receipt and number |
| pin | none | scrypt of the HMAC-SHA256 of receipt and PIN, with a random salt |

The key of the HMAC is the site's, another one for each zone (`Keyring.derived_key`), and outlives rotations: a data
file without it says nothing. Whoever has it as well tries badge numbers at leisure, and PINs at one scrypt each.
"""

import hmac
from collections.abc import Mapping, Sequence
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
    TamperError,
    UnknownError,
    check_kind,
)
from volens.store.keys.keyring import Keyring
from volens.store.promises.zones_and_notices import zone_of
from volens.store.schema.data_tables import live_consent, zone
from volens.store.schema.schema_factors import second_factor as table
from volens.store.sqlite.prepared_query import Glance, PreparedQuery
from volens.store.store import Store, Transaction

MOST_FAILURES: Final = 5
"""So many wrong PINs, each within `LOCKED_FOR` of the one before, and no more are looked at for as long."""

LOCKED_FOR: Final = timedelta(minutes=15)

SCRYPT: Final = {"n": 2**15, "r": 8, "p": 3}
"""32 MiB and a quarter of a second (docs/adr/0025). Another cost needs another version byte in what is kept."""

_VERSION: Final = b"\x01"
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
# With parameters by name: a value inside a statement lives on in SQLAlchemy's cache of statements.
_FOUND: Final = select(table.c.receipt_id, table.c.verifier).where(
    table.c.purpose == bindparam("in_zone"), table.c.lookup == bindparam("sought")
)
_END: Final = (
    update(table)
    .where(table.c.receipt_id == bindparam("of"), table.c.verifier == bindparam("compared"))
    .values(failures=0)
)
_ASKED: Final = PreparedQuery(select(zone.c.second_factor).where(zone.c.purpose == bindparam("purpose")))


@final
@dataclass(frozen=True, slots=True)
class FactorState:
    """That a person has a second factor; not which.

    Attributes:
        locked_until: when a PIN is looked at again, after too many wrong ones; None if it is now.
    """

    kind: SecondFactor
    set_at: datetime
    locked_until: datetime | None


@final
class Factors:
    """The second factors of a site's people, as the desk sets and removes them."""

    def __init__(self, store: Store) -> None:
        """Look at a store."""
        self._store = store

    def set(self, receipt_id: ReceiptId, factor: ShownFactor, zone: Purpose | None = None) -> None:
        """Set a person's second factor, in the place of the one before: a lost card opens nothing from now on.

        Args:
            receipt_id: of a consent that is in force.
            factor: read, and not kept; the caller wipes it.
            zone: the only one in which this is asked; None where any will do.

        Raises:
            InputError: the zone asks for another kind, or the PIN is among the first that others would try.
            NoLiveConsentError: no consent of this receipt is in force, or not in this zone.
            RefusedError: the zone asks for none, or somebody else there has this badge.
        """
        factor.refuse_if_obvious()
        with self._store.read() as connection:
            owner = _owner(connection, receipt_id, zone)
            asked = zone_of(connection, owner["purpose"]).second_factor
        if asked is SecondFactor.NONE:
            raise RefusedError(f"zone {owner['purpose']!r} asks for no second factor; nothing was kept")
        check_kind(asked, factor)
        salt = self._store.random(_SALT_BYTES) if asked is SecondFactor.PIN else None
        lookup = _lookup(self._store.keyring, owner["purpose"], factor) if salt is None else None
        kept = {
            "kind": asked.value,
            "lookup": lookup,
            "salt": salt,
            "verifier": _verifier(self._store.keyring, owner["purpose"], receipt_id, factor, salt),
        }
        with self._store.write() as tx:
            _owner(tx.connection, receipt_id, zone)  # asked again: the consent may have ended meanwhile
            if lookup is not None:
                _refuse_anothers(tx.connection, owner, lookup)
            tx.connection.execute(delete(table).where(table.c.receipt_id == receipt_id))
            tx.connection.execute(insert(table), owner | kept | {"set_at": tx.now, "failures": 0, "tried_at": None})
            tx.log("factor.set", owner | {"kind": asked.value}, receipt_id=receipt_id)
        self._store.truncate_wal()  # the one before goes from there too, unless somebody reads just now

    def remove(self, receipt_id: ReceiptId, zone: Purpose | None = None) -> bool:
        """Remove a person's second factor, who then does not get in; False if there was none.

        Raises:
            NoLiveConsentError: no consent of this receipt is in force, or not in this zone.
        """
        with self._store.write() as tx:
            owner = _owner(tx.connection, receipt_id, zone)
            is_gone = tx.connection.execute(delete(table).where(table.c.receipt_id == receipt_id)).rowcount > 0
            if is_gone:
                tx.log("factor.removed", owner, receipt_id=receipt_id)
        self._store.truncate_wal()
        return is_gone

    def of(self, receipt_id: ReceiptId) -> FactorState | None:
        """Return whether a person has a second factor; None if not."""
        with self._store.read() as connection:
            row = connection.execute(select(table).where(table.c.receipt_id == receipt_id)).one_or_none()
        if row is None:
            return None
        until = row.tried_at + LOCKED_FOR if row.failures >= MOST_FAILURES else None
        is_locked = until is not None and until > self._store.now()
        return FactorState(SecondFactor(row.kind), row.set_at, until if is_locked else None)


def factor_asked(connection: Connection | Glance, purpose: Purpose) -> SecondFactor:
    """Return what a zone asks for besides the face.

    Raises:
        UnknownError: there is no such zone.
    """
    rows = _ASKED.rows(connection, {"purpose": purpose})
    if not rows:
        raise UnknownError(f"there is no zone {purpose!r}; add it with 'volens zone add'")
    return SecondFactor(rows[0][0])


def badge_owner(store: Store, purpose: Purpose, badge: ShownFactor) -> ReceiptId | None:
    """Return the consent in force that the number of a badge belongs to in a zone; None if it is nobody's.

    Raises:
        TamperError: the row was put in another's place.
    """
    lookup = _lookup(store.keyring, purpose, badge)
    with store.read() as connection:
        row = connection.execute(_FOUND, {"in_zone": purpose, "sought": lookup}).one_or_none()
    if row is None:
        return None
    receipt_id = ReceiptId(row.receipt_id)
    if not hmac.compare_digest(row.verifier, _verifier(store.keyring, purpose, receipt_id, badge, None)):
        raise TamperError("integrity: a badge's row is not of the person it was set for; restore the data file")
    return receipt_id


def pin_owner(store: Store, purpose: Purpose, people: Sequence[ReceiptId], pin: ShownFactor) -> ReceiptId | None:
    """Return whose PIN this is, of some people of a zone whose faces are known; None if not of exactly one.

    1. For each of them a try is counted before it is looked at, by one conditional statement: however many doors and
       processes ask at once, no more than `MOST_FAILURES` are looked at. Who is locked, or has no PIN, is left out.
    2. The PIN is compared with each of theirs, in constant time.
    3. If it was exactly one person's, the count of that person ends, unless the consent did meanwhile, and the others'
       tries are taken back: who came along has tried nothing. If it was nobody's, all tries stay.

    Raises:
        UnavailableError: the store cannot be written, and so no try can be counted.
    """
    # 1.
    with store.write() as tx:
        counted = [one for one in dict.fromkeys(people) if _count_try(tx, purpose, one)]
        query = select(table).where(table.c.receipt_id.in_(counted))
        rows = {ReceiptId(row["receipt_id"]): dict(row) for row in tx.connection.execute(query).mappings()}
    # 2.
    fitting = [
        one
        for one, row in rows.items()
        if hmac.compare_digest(row["verifier"], _verifier(store.keyring, purpose, one, pin, row["salt"]))
    ]
    # 3.
    with store.write() as tx:
        if not fitting:
            for one, row in rows.items():
                if row["failures"] >= MOST_FAILURES:
                    owner = {name: row[name] for name in ("receipt_id", "subject_id", "purpose")}
                    tx.log("factor.locked", owner, receipt_id=one)
            return None
        for one in rows:
            if one not in fitting or len(fitting) > 1:
                _take_back(tx, one)
        return fitting[0] if len(fitting) == 1 and _end_count(tx, fitting[0], rows[fitting[0]]["verifier"]) else None


def kept_of_factor(connection: Connection, receipt_id: ReceiptId) -> dict[str, bytes]:
    """Return the bytes that tell a person's second factor again, for an erasure to search for afterwards."""
    query = select(table.c.lookup, table.c.salt, table.c.verifier).where(table.c.receipt_id == receipt_id)
    row = connection.execute(query).mappings().one_or_none()
    return {} if row is None else {f"{name} of the second factor": kept for name, kept in row.items() if kept}


def _count_try(tx: Transaction, purpose: Purpose, receipt_id: ReceiptId) -> bool:
    since = tx.now - LOCKED_FOR
    tried = (
        update(table)
        .where(table.c.receipt_id == receipt_id, table.c.purpose == purpose, table.c.kind == SecondFactor.PIN.value)
        .where(or_(table.c.failures < MOST_FAILURES, table.c.tried_at <= since))
        .values(failures=case((table.c.tried_at > since, table.c.failures + 1), else_=1), tried_at=tx.now)
    )
    return tx.connection.execute(tried).rowcount > 0


def _take_back(tx: Transaction, receipt_id: ReceiptId) -> None:
    counted = update(table).where(table.c.receipt_id == receipt_id, table.c.failures > 0)
    tx.connection.execute(counted.values(failures=table.c.failures - 1))


def _end_count(tx: Transaction, receipt_id: ReceiptId, verifier: bytes) -> bool:
    return tx.connection.execute(_END, {"of": receipt_id, "compared": verifier}).rowcount > 0


def _owner(connection: Connection, receipt_id: ReceiptId, zone: Purpose | None) -> dict[str, Any]:
    row = (
        connection.execute(select(live_consent).where(live_consent.c.receipt_id == receipt_id)).mappings().one_or_none()
    )
    if row is None or zone not in {None, row["purpose"]}:
        raise NoLiveConsentError("there is no consent in force for this receipt; nothing was changed")
    return {"receipt_id": receipt_id, "subject_id": row["subject_id"], "purpose": Purpose(row["purpose"])}


def _refuse_anothers(connection: Connection, owner: Mapping[str, Any], lookup: bytes) -> None:
    found = connection.execute(_FOUND, {"in_zone": owner["purpose"], "sought": lookup}).one_or_none()
    if found is not None and found.receipt_id != owner["receipt_id"]:
        raise RefusedError(
            f"somebody else in zone {owner['purpose']!r} has this badge; check the number, or remove it there"
        )


def _lookup(keyring: Keyring, purpose: Purpose, badge: ShownFactor) -> bytes:
    return _VERSION + _keyed(keyring, purpose, b"badge\0", badge)


def _verifier(
    keyring: Keyring, purpose: Purpose, receipt_id: ReceiptId, factor: ShownFactor, salt: bytes | None
) -> bytes:
    keyed = _keyed(keyring, purpose, f"{factor.kind} of {receipt_id}\0".encode("ascii"), factor)
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
