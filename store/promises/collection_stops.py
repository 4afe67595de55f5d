"""Orders to stop collecting: while one is in force, no person to whom it applies can consent or be enrolled.

The database enforces an order for a zone too. An order for a jurisdiction is enforced here only: the jurisdiction is in
the signed receipt, which the database cannot read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import final

from sqlalchemy import Connection, insert, update

from volens.consent import InputError, Purpose, RefusedError, UnknownError, parse_purpose
from volens.consent.jurisdiction import covers, parse_jurisdiction
from volens.consent.reason import Reason
from volens.store.promises.zones_and_notices import zone_of
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction


@final
@dataclass(frozen=True, slots=True)
class CollectionStop:
    """An order to stop collecting. If it names both a jurisdiction and a zone, it is for people to whom both apply.

    The fields are the columns of its table, in their order.

    Attributes:
        jurisdiction: the law that protects the people concerned; None for every jurisdiction.
        zone: None for every zone.
        log_index: the index of its leaf in the audit log.
        lifted_at: None while it is in force.
    """

    order_id: str
    jurisdiction: str | None
    zone: Purpose | None
    log_index: int
    placed_at: datetime
    lifted_at: datetime | None

    def applies_to(self, jurisdiction: str, zone: Purpose) -> bool:
        """Return whether the order applies to a person of this jurisdiction in this zone."""
        return (self.zone is None or self.zone == zone) and (
            self.jurisdiction is None or covers(self.jurisdiction, jurisdiction)
        )

    def covers(self, jurisdiction: str | None, zone: Purpose | None) -> bool:
        """Return whether the order applies to all people that a selection by jurisdiction and zone can contain."""
        return (self.zone is None or self.zone == zone) and (
            self.jurisdiction is None or (jurisdiction is not None and covers(self.jurisdiction, jurisdiction))
        )

    def document(self) -> dict[str, str]:
        """Return the order in the form of plans and dossiers."""
        named = {"jurisdiction": self.jurisdiction, "zone": self.zone}
        return {"order_id": self.order_id} | {name: value for name, value in named.items() if value is not None}


def stop_collecting(tx: Transaction, jurisdiction: str | None, zone: str | None) -> CollectionStop:
    """Place an order; it is in force until it is lifted.

    Raises:
        InputError: neither is named, or one of the two is unknown.
        RefusedError: the same order is in force already.
    """
    if jurisdiction is None and zone is None:
        raise InputError("got neither a jurisdiction nor a zone; an order to stop collecting names at least one")
    if jurisdiction is not None:
        jurisdiction = parse_jurisdiction(jurisdiction)
    purpose = None if zone is None else parse_purpose(zone)
    if purpose is not None:
        zone_of(tx.connection, purpose)
    if any((one.jurisdiction, one.zone) == (jurisdiction, purpose) for one in standing_stops(tx.connection)):
        raise RefusedError("this order is in force already; nothing was changed")
    order_id = tx.random(16).hex()
    stop = CollectionStop(order_id, jurisdiction, purpose, -1, tx.now, None)
    with tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id]):
        index, _event = tx.log("collecting.stopped", stop.document())
        tx.connection.execute(
            insert(tables.collection_stop).values(
                order_id=order_id, jurisdiction=jurisdiction, purpose=purpose, log_index=index, placed_at=tx.now
            )
        )
    return replace(stop, log_index=index)


def lift_stop(tx: Transaction, order_id: str, approved: Mapping[str, str | int]) -> None:
    """Lift an order: people can give consent again. `approved` is logged.

    Raises:
        InputError: no such order is in force.
    """
    if not any(one.order_id == order_id for one in standing_stops(tx.connection)):
        raise UnknownError("no order of this id is in force; 'volens erase --standing' lists the orders")
    with tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id]):
        tx.connection.execute(
            update(tables.collection_stop).where(tables.collection_stop.c.order_id == order_id).values(lifted_at=tx.now)
        )
        tx.log("collecting.resumed", {"order_id": order_id, **approved})


def standing_stops(connection: Connection) -> list[CollectionStop]:
    """Return the orders in force, oldest first.

    Raises:
        TamperError: the rows of the site do not verify.
    """
    rows = seals_of(connection).site(connection).records(tables.collection_stop)
    standing = [CollectionStop(*row.values()) for row in rows if row["lifted_at"] is None]
    return sorted(standing, key=lambda one: (one.placed_at, one.order_id))


def refuse_if_stopped(connection: Connection, jurisdiction: str, zone: Purpose) -> None:
    """Check that no order to stop collecting applies to a person.

    Raises:
        RefusedError: an order applies.
    """
    for stop in standing_stops(connection):
        if stop.applies_to(jurisdiction, zone):
            raise RefusedError(
                f"collecting is stopped by order {stop.order_id} of {stop.placed_at.date()}; nothing was recorded, "
                "let the person use the alternative",
                reason=Reason.COLLECTING_STOPPED,
            )
