"""May people be asked? One check for every way of asking: offers, consents, renewals, invitations and photos."""

from contextlib import suppress

from sqlalchemy import Connection

from volens.consent import Purpose, RefusedError, TamperError
from volens.consent.invitation import InvitationState
from volens.consent.law.gates import ClosedGate, check_open, closed_gates
from volens.consent.processing_record import ProcessingRecord
from volens.store import Store
from volens.store.people.consents_in_force import receipts_in_force
from volens.store.people.invitation_rows import invitation_ids, invitations
from volens.store.promises import Defaults, processing_record, refuse_if_stopped


def refuse_to_ask(store: Store, connection: Connection, jurisdiction: str, purpose: Purpose) -> None:
    """Check that data of people of a jurisdiction may be collected in a zone now.

    1. No order to stop collecting applies.
    2. Every gate of their law is open (`volens.consent.law.gates`): works agreement, impact assessment, declaration.

    People whose consent is in force keep matching if a gate closes again: only what is new is refused.

    Raises:
        RefusedError: 1 or 2 does not hold, or no profile covers the jurisdiction.
        TamperError: the rows of the site or of the zone do not verify.
    """
    # 1.
    refuse_if_stopped(connection, jurisdiction, purpose)
    # 2.
    check_open(gates_closed_to(store, connection, jurisdiction, purpose))


def refuse_by_record(store: Store, connection: Connection, record: ProcessingRecord) -> None:
    """Do the checks of `refuse_to_ask` with a processing record that is composed already."""
    # 1.
    refuse_if_stopped(connection, record.jurisdiction, record.zone.purpose)
    # 2.
    check_open(_closed(store, record))


def gates_closed_to(
    store: Store, connection: Connection, jurisdiction: str, purpose: Purpose
) -> tuple[ClosedGate, ...]:
    """Return the gates that keep a zone closed to people of a jurisdiction today.

    Raises:
        RefusedError: no profile covers the jurisdiction.
        TamperError: the rows of the site or of the zone do not verify.
    """
    return _closed(store, processing_record(connection, store.site.controller, purpose, jurisdiction))


def _closed(store: Store, record: ProcessingRecord) -> tuple[ClosedGate, ...]:
    zone, today = record.zone.purpose, store.now().date()
    return closed_gates(record.profile, zone, record.jurisdiction, record.zone_facts, today)


def closed_gates_of_zone(store: Store, purpose: Purpose, *, people: bool = False) -> tuple[ClosedGate, ...]:
    """Return the closed gates of a zone, for the site's default jurisdiction and those of open invitations.

    With `people` also for those of consents in force; this reads every receipt. A jurisdiction without a profile is
    left out: its people cannot be asked at all.

    Raises:
        TamperError: the rows of the site, of the zone or of an invitation do not verify.
    """
    found = {Defaults(store).get().jurisdiction}
    with store.read() as connection:
        ids = invitation_ids(connection, purpose=purpose, state=InvitationState.OPEN)
        found |= {one.jurisdiction for one in invitations(connection, ids).values()}
        if people:
            found |= _jurisdictions_in_force(connection, purpose)
        closed: list[ClosedGate] = []
        for jurisdiction in sorted(one for one in found if one is not None):
            with suppress(RefusedError):
                closed += gates_closed_to(store, connection, jurisdiction, purpose)
    return tuple(closed)


def _jurisdictions_in_force(connection: Connection, purpose: Purpose) -> set[str]:
    found = set()
    for receipt in receipts_in_force(connection, purpose):
        with suppress(TamperError):  # a damaged receipt is reported by other checks
            found.add(receipt.verified().claims.jurisdiction)
    return found
