"""Leases of doors: rows that say which door may decide without a connection, and until when (`volens.consent.lease`).

1. The row is written before anything is read for the lease. So a withdrawal either committed before, and the person is
   not in it; or it commits later, finds the row, and revokes it.
2. A revoked lease counts until its holder says that it holds nothing of it, or until it has ended everywhere.
3. A holder names the last lease that it got: it holds that one or none, and none before. So an answer that was lost
   on the way is not waited for longer than needed, and one that is on its way is not counted as given up.
4. A row that another program has changed is believed in nothing: the door must drop that lease, and withdrawals count
   the door with the longest term (`volens.store.promises.lease_rows`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final, final

from sqlalchemy import Connection, delete, func, select, update

from volens.consent import Purpose, RefusedError, TamperError, UnknownError, Zone
from volens.consent.lease import LeaseHolding, LeaseStop
from volens.store.log import log_size
from volens.store.programs.credentials import Role, known_credential
from volens.store.promises.lease_revocation import revoke_leases
from volens.store.promises.lease_rows import (
    LeaseRow,
    change_lease,
    insert_lease,
    labels_of,
    lease_of,
    read_leases,
    remember_newest,
    uncertain_doors,
)
from volens.store.promises.zones_and_notices import zone_of
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import api_credential
from volens.store.schema.data_tables import lease as table
from volens.store.store import Store
from volens.store.transaction import Transaction

KEPT_AFTER_END: Final = timedelta(hours=1)
REVOKED: Final = "lease.revoked"
ALLOWED: Final = "lease.allowed"
_its = table.c


@final
class Leases:
    """The leases of one site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reserve(
        self, credential_id: str, *, lease_id: str, check: Callable[[Zone], object] = lambda _zone: None
    ) -> tuple[LeaseRow, Zone]:
        """Write the row of the next lease of a door, and return it with the zone.

        `check` refuses by an exception what the zone asks of the door besides; nothing is written then. Rows of long
        ended leases are deleted, but for the newest of each door.

        Raises:
            UnavailableError: the store cannot be written.
            UnknownError: there is no such credential.
            RefusedError: it is no door's or not in force, its leases were revoked, or its zone has no leases.
            ZonePausedError: the zone is paused.
        """
        with self._store.write() as tx:
            credential = known_credential(tx, credential_id)
            if credential.role is not Role.DOOR or credential.purpose is None:
                raise RefusedError("only the credential of a door gets a lease; ask the operator for one")
            if credential.ended_at is not None or credential.expires_at <= tx.now:
                raise RefusedError("got a credential that is not in force; ask the operator for a new one")
            if credential.leases_refused_at is not None:
                raise RefusedError(
                    "the leases of this door were revoked; the operator can allow them again with 'volens lease allow'"
                )
            zone = zone_of(tx.connection, credential.purpose)
            check_has_leases(zone)
            check(zone)
            newest = select(func.max(_its.number)).group_by(_its.credential_id)
            outdated = (_its.ends_at < tx.now - KEPT_AFTER_END, _its.number.not_in(newest))
            tx.connection.execute(delete(table).where(*outdated))
            size = log_size(tx.connection)
            row = LeaseRow.given(tx, lease_id, credential_id, zone.purpose, zone.lease_seconds, size)
            insert_lease(tx, row)
        remember_newest(self._store.keyring, row)
        return row, zone

    def acknowledge(self, credential_id: str, lease_id: str, *, holds: bool) -> bool:
        """Note what a door holds: of its leases up to this one only this one, or none; return whether it may hold it.

        Of a lease whose row another program has changed nothing is noted, and the door may not hold it.

        Raises:
            UnknownError: this door has no such lease; it holds none that counts.

        Cost: one query; a write transaction only if the door gave something up.
        """
        with self._store.read() as connection:
            try:
                row = lease_of(connection, lease_id)
            except TamperError:
                return False
            if row is None or row.credential_id != credential_id:
                raise UnknownError("this door has no such lease; drop what it holds, and ask for a new one")
            up_to = row.number - 1 if holds else row.number
            held, _broken = read_leases(connection, *_held(credential_id, up_to))
            now = self._store.now()
        if held:
            with self._store.write() as tx:
                size = log_size(tx.connection)
                for one in read_leases(tx.connection, *_held(credential_id, up_to))[0]:
                    change_lease(tx, replace(one, acknowledged_at=tx.now, acknowledged_generation=size))
        return holds and row.revoked_at is None and row.acknowledged_at is None and row.ends_at > now

    def is_revoked(self, lease_id: str) -> bool:
        """Return whether a lease was revoked, is over, is not there, or was changed by another program."""
        with self._store.read() as connection:
            try:
                row = lease_of(connection, lease_id)
            except TamperError:
                return True
        return row is None or row.revoked_at is not None or row.ends_at <= self._store.now()

    def list(self) -> Sequence[LeaseHolding]:
        """Return the doors that hold a lease now, as far as is known; by label."""
        with self._store.read() as connection:
            now = self._store.now()
            return with_uncertain(holdings(connection, None, now), uncertain_doors(connection, None, now))

    def stop_at(self, purpose: Purpose, stopped_at: datetime) -> LeaseStop:
        """Return a stop that revoked the leases of a zone, with the doors that held one then, as is known now."""
        with self._store.read() as connection:
            found = holdings(connection, purpose, stopped_at, revoked=True)
            known = with_uncertain(found, uncertain_doors(connection, purpose, stopped_at))
        return LeaseStop(stopped_at, tuple(known))

    def revoke(self, credential_id: str) -> LeaseStop:
        """End the leases of a door, and refuse it new ones; return from when on it has none, and what it may hold.

        A repeated call returns what it may still hold.

        Raises:
            UnknownError: there is no such credential.
            RefusedError: it is not the credential of a door.
        """
        with self._store.write() as tx:
            self._set_refused(tx, credential_id, refused=True)
            revoke_leases(tx, credential_id=credential_id)
            known = with_uncertain(holdings(tx.connection, None, tx.now), uncertain_doors(tx.connection, None, tx.now))
            return LeaseStop(tx.now, tuple(one for one in known if one.door_id == credential_id))

    def allow(self, credential_id: str) -> None:
        """Let a door get leases again. If it may, nothing is changed.

        Raises:
            UnknownError, RefusedError: as `revoke`.
        """
        with self._store.write() as tx:
            self._set_refused(tx, credential_id, refused=False)

    @staticmethod
    def _set_refused(tx: Transaction, credential_id: str, *, refused: bool) -> None:
        known = known_credential(tx, credential_id)
        if known.role is not Role.DOOR:
            raise RefusedError(f"this is the credential of a {known.role}, which has no leases; name that of a door")
        if (known.leases_refused_at is not None) == refused or known.ended_at is not None:
            return
        with tx.changing(Scope.CREDENTIAL, [credential_id]):
            since = tx.now if refused else None
            change = update(api_credential).where(api_credential.c.credential_id == credential_id)
            tx.connection.execute(change.values(leases_refused_at=since))
            tx.log(REVOKED if refused else ALLOWED, {"credential": credential_id})


def check_has_leases(zone: Zone) -> None:
    """Check that the doors of a zone may get leases now.

    Raises:
        RefusedError: the zone has none.
        ZonePausedError: it is paused.

    Not checked: liveness; see `volens.identify.liveness_gate.check_leasable`.
    """
    zone.check_in_use()
    if zone.lease_seconds == 0:
        raise RefusedError(
            f"zone {zone.purpose!r} has no leases, so its doors decide online only; allow them with 'volens zone "
            f"change {zone.purpose} --lease-seconds N'"
        )


def newest_lease(connection: Connection) -> int:
    """Return the number of the newest lease of the site; 0 without one."""
    return int(connection.scalar(select(func.max(_its.number))) or 0)


def holdings(
    connection: Connection,
    purpose: Purpose | None,
    since: datetime,
    up_to: int | None = None,
    *,
    revoked: bool = False,
) -> Sequence[LeaseHolding]:
    """Return which doors could decide with leases at `since` or later, each once, with what is known of it now.

    Args:
        connection: of the data file.
        purpose: of one zone; None for all.
        since: leases that had ended or were given up before do not count.
        up_to: leases with a higher number do not count; None for no limit.
        revoked: only leases count that were given by `since`, and revoked.
    """
    wanted = [_its.ends_at > since, _its.acknowledged_at.is_(None) | (_its.acknowledged_at >= since)]
    wanted += [] if purpose is None else [_its.purpose == purpose]
    wanted += [] if up_to is None else [_its.number <= up_to]
    wanted += [_its.revoked_at.is_not(None), _its.given_at <= since] if revoked else []
    rows, _broken = read_leases(connection, *wanted)
    found: list[LeaseHolding] = []
    for door_id, group in groupby(sorted(rows, key=_door), key=_door):
        leases = list(group)
        left = [one.ends_at for one in leases if one.acknowledged_at is None]
        acknowledged = max((one.acknowledged_at for one in leases if one.acknowledged_at is not None), default=None)
        ends_at = max(left or [one.ends_at for one in leases])
        found.append(LeaseHolding(door_id, door_id, ends_at, None if left else acknowledged))
    labels = labels_of(connection, [one.door_id for one in found])
    return _in_order(replace(one, door=labels.get(one.door_id, one.door)) for one in found)


def with_uncertain(certain: Iterable[LeaseHolding], uncertain: Iterable[LeaseHolding]) -> Sequence[LeaseHolding]:
    """Return the doors of two lists, each once; what is said of the uncertain ones counts (`uncertain_doors`)."""
    return _in_order(({one.door_id: one for one in certain} | {one.door_id: one for one in uncertain}).values())


def _in_order(doors: Iterable[LeaseHolding]) -> list[LeaseHolding]:
    return sorted(doors, key=lambda one: (one.door, one.door_id))


def _held(credential_id: str, up_to: int) -> tuple[Any, ...]:
    return (_its.credential_id == credential_id, _its.number <= up_to, _its.acknowledged_at.is_(None))


def _door(row: LeaseRow) -> str:
    return row.credential_id
