"""Rows of leases, authenticated: each has a MAC, and the keyring has the number of the newest lease of each door.

A lease is renewed several times a minute, so its rows are not a scope of `volens.store.row_seals`, whose every change
is an entry in the log. Instead:

1. The MAC of a row is over all its columns. A row that does not verify counts for nothing that it says.
2. The keyring remembers the number of a door's newest lease before the door gets it. If the data file has no authentic
   row of that number, another program has deleted or changed it, and how long the door may decide is not known. Then
   the longest term that any lease has counts, from now on (`uncertain_doors`).
3. A row that is put back as it was before says only that the lease is still held, which ends at the same time.

A broken row stops neither a withdrawal nor the next lease of the door.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final, final

from sqlalchemy import TEXT, ColumnElement, Connection, insert, select, type_coerce, update

from volens.consent import Purpose, TamperError, format_time
from volens.consent.lease import LeaseHolding, ends_everywhere_at, lasts_everywhere_s
from volens.consent.lease_end import SteadyTime, lease_end
from volens.consent.zone import MAX_LEASE_SECONDS
from volens.store.batches import batches
from volens.store.keys.generations import all_remembered, remember_generations
from volens.store.keys.keyring import Keyring
from volens.store.row_seals import SealedRows, seals_of
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import api_credential
from volens.store.schema.data_tables import lease as table
from volens.store.schema.table_builder import UtcDateTime, read_value
from volens.store.transaction import Transaction

LEASES: Final = "lease"
"""The kind of these numbers in the keyring, beside the scopes of sealed rows."""
_its = table.c
_COLUMNS: Final = [column for column in table.columns if column is not _its.mac]
_CHANGING: Final = ("ends_at", "revoked_at", "acknowledged_at", "acknowledged_generation")
_AS_STORED: Final = [
    type_coerce(one, TEXT) if isinstance(one.type, UtcDateTime) else one for one in (*_COLUMNS, _its.mac)
]
"""Read as text: a time that another program has written may be none."""


@final
@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease that was given.

    Attributes:
        number: leases of a site are numbered in their order.
        given_boot: of which start of which machine `given_boot_s` counts the seconds (`SteadyTime`).
        ends_at: from when on it has ended everywhere, on the primary's clock.
        revoked_at: None unless it was revoked.
        acknowledged_at: when the door said that it holds it no more; None if it has not.
        acknowledged_generation: of the store at that moment.
    """

    number: int
    lease_id: str
    credential_id: str
    purpose: Purpose
    generation: int
    term_seconds: int
    given_at: datetime
    given_boot: str
    given_boot_s: int
    ends_at: datetime
    revoked_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_generation: int | None = None

    @classmethod
    def given(
        cls, tx: Transaction, lease_id: str, credential_id: str, purpose: Purpose, term_seconds: int, generation: int
    ) -> "LeaseRow":
        """Return the row of a lease that is given now."""
        number, boot_s = tx.next_id(table), math.ceil(tx.steady.seconds)
        ends_at = ends_everywhere_at(tx.now, term_seconds)
        whose = (number, lease_id, credential_id, purpose, generation)
        return cls(*whose, term_seconds, tx.now, tx.steady.boot_id, boot_s, ends_at)

    def end(self, tx: Transaction) -> datetime:
        """Return when it has ended everywhere, also if the wall clock was set since (`lease_end`)."""
        given = SteadyTime(self.given_boot, self.given_boot_s)
        return lease_end(self.ends_at, self.term_seconds, given, tx.now, tx.steady)


def insert_lease(tx: Transaction, row: LeaseRow) -> None:
    """Write the row of a lease. The MAC is over the columns in their order, which is that of `LeaseRow`."""
    tx.connection.execute(insert(table), {**asdict(row), "mac": _mac(tx.connection, row)})


def change_lease(tx: Transaction, row: LeaseRow) -> None:
    """Change the row of a lease, which was read as authentic, to what it is now."""
    values = {name: getattr(row, name) for name in _CHANGING}
    changed = update(table).where(_its.number == row.number).values(**values, mac=_mac(tx.connection, row))
    tx.connection.execute(changed)


def read_leases(connection: Connection, *where: ColumnElement[bool]) -> tuple[list[LeaseRow], frozenset[str]]:
    """Return the authentic rows, and the credentials that the others name."""
    good, broken, seals = list[LeaseRow](), set[str](), seals_of(connection)
    for number, lease_id, *values, mac in connection.execute(select(*_AS_STORED).where(*where).order_by(_its.number)):
        stored = (number, lease_id, *values)
        if compare_digest(mac, seals.lease_mac(lease_id, number, stored)):
            named = zip(_COLUMNS, stored, strict=True)
            good.append(LeaseRow(**{column.name: read_value(column, value) for column, value in named}))
        else:
            broken.add(str(values[0]))
    return good, frozenset(broken)


def lease_of(connection: Connection, lease_id: str) -> LeaseRow | None:
    """Return one lease; None if there is none.

    Raises:
        TamperError: its row was changed by another program.
    """
    good, broken = read_leases(connection, _its.lease_id == lease_id)
    if broken:
        raise _problem(*broken)
    return good[0] if good else None


def remember_newest(keyring: Keyring, row: LeaseRow) -> None:
    """Let the keyring remember that a door has a lease of this number; before the door gets it.

    Raises:
        UnavailableError: the keyring cannot be written; the lease must not be given.
    """
    with keyring.write() as kept:
        remember_generations(kept, [(LEASES, row.credential_id, row.number)])


def uncertain_doors(connection: Connection, purpose: Purpose | None, at: datetime) -> list[LeaseHolding]:
    """Return the doors of a zone, or of all, whose rows do not say what they hold, with the latest end of that.

    A door counts until its credential has ended for as long as a lease lasts; of a credential that is not authentic
    neither the zone nor the end is believed.

    Cost: 15 us for each door of the site.
    """
    seals = seals_of(connection)
    with seals.keyring.read() as kept:
        newest = {door: its.generation for door, its in all_remembered(kept, LEASES).items()}
    numbers, doors, found = list(newest.values()), set(newest), list[LeaseHolding]()
    for batch in batches(numbers):
        good, _broken = read_leases(connection, _its.number.in_(batch))
        doors -= {row.credential_id for row in good if row.number == newest.get(row.credential_id)}
    _good, broken = read_leases(
        connection, _its.acknowledged_at.is_(None), *([] if purpose is None else [_its.purpose == purpose])
    )
    wanted = sorted(doors | broken)
    labels = labels_of(connection, wanted)
    longest = timedelta(seconds=lasts_everywhere_s(MAX_LEASE_SECONDS))
    for door, credential in seals.inspected(connection, Scope.CREDENTIAL, wanted).items():
        if isinstance(credential, SealedRows):
            (its_own,) = credential.records(api_credential)
            ended_at = min(its_own["expires_at"], its_own["ended_at"] or its_own["expires_at"])
            if ended_at + longest <= at or purpose not in {None, its_own["purpose"]}:
                continue
        found.append(LeaseHolding(labels.get(door, door), door, at + longest, None))
    return found


def labels_of(connection: Connection, credential_ids: Sequence[str]) -> dict[str, str]:
    """Return the labels of credentials."""
    its, found = api_credential.c, dict[str, str]()
    for batch in batches(credential_ids):
        rows = connection.execute(select(its.credential_id, its.label).where(its.credential_id.in_(batch)))
        found |= {row.credential_id: row.label for row in rows}
    return found


def lease_problems(connection: Connection, at: datetime) -> list[TamperError]:
    """Return what is wrong with rows of leases, one error for each door."""
    return [_problem(one.door_id) for one in uncertain_doors(connection, None, at)]


def _problem(credential_id: str) -> TamperError:
    return TamperError(
        f"integrity: a lease of door {credential_id!r} (lease) was changed or deleted by another program; withdrawals "
        f"count this door as one that decides for {lasts_everywhere_s(MAX_LEASE_SECONDS)} s more, until it gets its "
        "next lease, or 'volens credential end' ends it"
    )


def _mac(connection: Connection, row: LeaseRow) -> bytes:
    values = [format_time(one) if isinstance(one, datetime) else one for one in asdict(row).values()]
    return seals_of(connection).lease_mac(row.lease_id, row.number, values)
