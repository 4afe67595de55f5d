"""Changes of a zone: title, the error rate it aims at, trigger, liveness and leases, pauses, and its removal.

Its promises never change. Each change is a row that is sealed with the zone, and an entry in the log. A paused zone
matches and enrolls no one, and its doors act as if the service were down; consents go on running, and people withdraw
as before. A removed zone stays in the data file, because receipts and certificates have its name, which cannot be given
again.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, insert, select

from volens.consent import Purpose, RefusedError, Zone
from volens.consent.zone import AfterLease, FpirTarget, LivenessLevel, Trigger, ZoneState, parse_title
from volens.store.promises.lease_revocation import revoke_leases
from volens.store.promises.zones_and_notices import notices_of, zone_of
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

_EVENTS: Final = {ZoneState.IN_USE: "zone.resumed", ZoneState.PAUSED: "zone.paused", ZoneState.REMOVED: "zone.removed"}


def rename_zone(tx: Transaction, purpose: Purpose, title: str) -> Zone:
    """Give a zone another title, which people read beside its name; empty text takes the title away.

    Raises:
        InputError: the title is too long, or has control characters.
        UnknownError: there is no such zone.
        RefusedError: it was removed, or has this title already.
    """
    zone = zone_of(tx.connection, purpose)
    zone.check_not_removed()
    new = replace(zone, title=parse_title(title))
    if new == zone:
        raise RefusedError(f"zone {purpose!r} has this title already; nothing was changed")
    return _changed(tx, new, "zone.renamed", title=new.title)


def set_zone_fpir(tx: Transaction, purpose: Purpose, fpir: FpirTarget) -> Zone:
    """Change the rate of strangers accepted (FPIR) that a zone aims at; its doors use the new thresholds at once.

    If the zone aims at it already, nothing is changed.

    Raises:
        UnknownError: there is no such zone.
        RefusedError: it was removed.
    """
    zone = zone_of(tx.connection, purpose)
    zone.check_not_removed()
    if zone.fpir is fpir:
        return zone
    new = replace(zone, fpir=fpir)
    return _changed(tx, new, "zone.fpir_changed", fpir=fpir.value, before=zone.fpir.value)


def set_zone_trigger(tx: Transaction, purpose: Purpose, trigger: Trigger) -> Zone:
    """Change what lets the doors of a zone embed a face; they follow with their next frame.

    If the zone has this trigger already, nothing is changed.

    Raises:
        UnknownError: there is no such zone.
        RefusedError: it was removed, its custody needs a request, or its newest notice in some language does not say
            that the zone identifies everyone who passes.
    """
    zone = zone_of(tx.connection, purpose)
    zone.check_not_removed()
    if zone.trigger is trigger:
        return zone
    zone.check_trigger(trigger)
    if trigger is Trigger.PASSING:
        for notice in notices_of(tx.connection, purpose):
            notice.check_says_passing()
    new = replace(zone, trigger=trigger)
    return _changed(tx, new, "zone.trigger_changed", trigger=trigger.value, before=zone.trigger.value)


def set_zone_liveness(tx: Transaction, purpose: Purpose, liveness: LivenessLevel) -> Zone:
    """Change what a zone does against photos of a person; its doors follow at once, or refuse.

    If it does that already, nothing is changed.

    Raises:
        UnknownError: there is no such zone.
        RefusedError: it was removed.
    """
    zone = zone_of(tx.connection, purpose)
    zone.check_not_removed()
    if zone.liveness is liveness:
        return zone
    new = replace(zone, liveness=liveness)
    return _changed(tx, new, "zone.liveness_changed", liveness=liveness.value, before=zone.liveness.value)


def set_zone_lease(tx: Transaction, purpose: Purpose, lease_seconds: int) -> Zone:
    """Change how long a door of a zone may decide without a connection; 0: not at all.

    A longer term holds for people who agreed to it: a lease contains no one whose receipt says less. Leases that were
    given end when they said. If the zone has this term already, nothing is changed.

    Raises:
        InputError: the term is neither 0 nor 5 to 900 seconds.
        UnknownError: there is no such zone.
        RefusedError: it was removed, or people carry something there.
    """
    zone = zone_of(tx.connection, purpose)
    zone.check_not_removed()
    zone.check_lease(lease_seconds)
    if zone.lease_seconds == lease_seconds:
        return zone
    after_lease = zone.after_lease if lease_seconds else AfterLease.CLOSED
    new = replace(zone, lease_seconds=lease_seconds, after_lease=after_lease)
    return _changed(tx, new, "zone.lease_changed", lease_seconds=lease_seconds, before=zone.lease_seconds)


def set_zone_after_lease(tx: Transaction, purpose: Purpose, after_lease: AfterLease) -> Zone:
    """Change what doors of a zone do that have no connection and no lease any more.

    A door follows with its next lease. If the zone has this rule already, nothing is changed.

    Raises:
        UnknownError: there is no such zone.
        RefusedError: it was removed, or has no leases.
    """
    zone = zone_of(tx.connection, purpose)
    zone.check_not_removed()
    zone.check_after_lease(after_lease)
    if zone.after_lease is after_lease:
        return zone
    new = replace(zone, after_lease=after_lease)
    return _changed(tx, new, "zone.after_lease_changed", after_lease=after_lease.value, before=zone.after_lease.value)


def set_zone_state(tx: Transaction, purpose: Purpose, state: ZoneState) -> Zone:
    """Pause, resume or remove a zone. If it is in that state already, nothing is changed.

    Raises:
        UnknownError: there is no such zone.
        RefusedError: it was removed.

    Not checked: whether a zone that is removed has people; see `volens.erase.zone_removal`.
    """
    zone = zone_of(tx.connection, purpose)
    if zone.state is state:
        return zone
    zone.check_not_removed()
    new = replace(zone, state=state)
    return _changed(tx, new, _EVENTS[state])


def paused_since(connection: Connection, purpose: Purpose) -> datetime | None:
    """Return since when a zone is paused; None if it is not.

    Raises:
        UnknownError: there is no such zone.
        TamperError: its rows were changed by another program.
    """
    if zone_of(connection, purpose).state is not ZoneState.PAUSED:
        return None
    rows = seals_of(connection).cached(connection, Scope.ZONE, purpose)
    changes = [] if rows is None else rows.records(tables.zone_change)
    since: datetime | None = None
    for change in sorted(changes, key=lambda one: -one["number"]):
        if change["state"] != ZoneState.PAUSED.value:
            break
        since = change["changed_at"]
    return since


def _changed(tx: Transaction, new: Zone, event: str, **details: str | int) -> Zone:
    """Store a zone as it is from now on, with its entry in the log."""
    with tx.changing(Scope.ZONE, [new.purpose]):
        _add(tx, new)
        revoke_leases(tx, new.purpose)
        tx.log(event, {"zone": new.purpose, **details})
    return new


def _add(tx: Transaction, zone: Zone) -> None:
    change = tables.zone_change
    newest = tx.connection.scalar(select(func.max(change.c.number)).where(change.c.purpose == zone.purpose))
    row = {"purpose": zone.purpose, "number": (newest or 0) + 1, "changed_at": tx.now}
    values: dict[str, object] = {"title": zone.title, "state": zone.state.value, "fpir": zone.fpir.value}
    values |= {"trigger": zone.trigger.value, "liveness": zone.liveness.value}
    values |= {"lease_seconds": zone.lease_seconds, "after_lease": zone.after_lease.value}
    tx.connection.execute(insert(change).values(**row, **values))
