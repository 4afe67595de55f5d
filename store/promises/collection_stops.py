"""Orders to stop collecting: while one stands, nobody of that jurisdiction or zone can give consent or be enrolled.

An order for a zone is held by the database too. One for a jurisdiction is held here only: the jurisdiction stands in
the signed receipt, which the database cannot read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import final

from sqlalchemy import Connection, Row, insert, select, update

from volens.consent import InputError, Purpose, RefusedError, UnknownError, parse_purpose
from volens.consent.jurisdiction import covers, parse_jurisdiction
from volens.store.promises.zones_and_notices import zone_of
from volens.store.schema import data_tables as tables
from volens.store.store import Transaction


@final
@dataclass(frozen=True, slots=True)
class CollectionStop:
    """An order not to collect. Where both are named, it is for people to whom both apply.

    Attributes:
        jurisdiction: whose law protects the people meant; None: whoever it is.
        zone: None: every zone.
        log_index: where the audit log tells of the order.
        lifted_at: None while it stands.
    """

    order_id: str
    jurisdiction: str | None
    zone: Purpose | None
    log_index: int
    placed_at: datetime
    lifted_at: datetime | None

    def meant_for(self, jurisdiction: str, zone: Purpose) -> bool:
        """Tell whether somebody is meant."""
        return (self.zone is None or self.zone == zone) and (
            self.jurisdiction is None or covers(self.jurisdiction, jurisdiction)
        )

    def covers(self, jurisdiction: str | None, zone: Purpose | None) -> bool:
        """Tell whether everybody whom a selection by jurisdiction and zone could mean is meant."""
        return (self.zone is None or self.zone == zone) and (
            self.jurisdiction is None or (jurisdiction is not None and covers(self.jurisdiction, jurisdiction))
        )

    def document(self) -> dict[str, str]:
        """Return what is ordered, in words for documents."""
        named = {"jurisdiction": self.jurisdiction, "zone": self.zone}
        return {"order_id": self.order_id} | {name: value for name, value in named.items() if value is not None}


def stop_collecting(tx: Transaction, jurisdiction: str | None, zone: str | None) -> CollectionStop:
    """Place an order; it stands until it is lifted.

    Raises:
        InputError: neither is named, or one of the two is not known.
        RefusedError: the same order stands already.
    """
    if jurisdiction is None and zone is None:
        raise InputError("got neither a jurisdiction nor a zone; an order to stop collecting names at least one")
    if jurisdiction is not None:
        parse_jurisdiction(jurisdiction)
    purpose = None if zone is None else parse_purpose(zone)
    if purpose is not None:
        zone_of(tx.connection, purpose)
    if any((one.jurisdiction, one.zone) == (jurisdiction, purpose) for one in standing_stops(tx.connection)):
        raise RefusedError("this order stands already; nothing was changed")
    order_id = tx.random(16).hex()
    stop = CollectionStop(order_id, jurisdiction, purpose, -1, tx.now, None)
    index, _event = tx.log("collecting.stopped", stop.document())
    tx.connection.execute(
        insert(tables.collection_stop).values(
            order_id=order_id, jurisdiction=jurisdiction, purpose=purpose, log_index=index, placed_at=tx.now
        )
    )
    return CollectionStop(order_id, jurisdiction, purpose, index, tx.now, None)


def lift_stop(tx: Transaction, order_id: str, approved: Mapping[str, str | int]) -> None:
    """Lift an order: people may be asked again.

    Args:
        tx: in which to do it.
        order_id: which.
        approved: by whom, for the audit log.

    Raises:
        InputError: no such order stands.
    """
    if not any(one.order_id == order_id for one in standing_stops(tx.connection)):
        raise UnknownError("there is no such order standing; 'volens erase --standing' lists them")
    tx.connection.execute(
        update(tables.collection_stop).where(tables.collection_stop.c.order_id == order_id).values(lifted_at=tx.now)
    )
    tx.log("collecting.resumed", {"order_id": order_id, **approved})


def standing_stops(connection: Connection) -> list[CollectionStop]:
    """Return the orders that stand, oldest first."""
    query = (
        select(tables.collection_stop)
        .where(tables.collection_stop.c.lifted_at.is_(None))
        .order_by(tables.collection_stop.c.placed_at, tables.collection_stop.c.order_id)
    )
    return [_stop(row) for row in connection.execute(query)]


def refuse_if_stopped(connection: Connection, jurisdiction: str, zone: Purpose) -> None:
    """Return if somebody may be asked and enrolled.

    Raises:
        RefusedError: an order to stop stands.
    """
    for stop in standing_stops(connection):
        if stop.meant_for(jurisdiction, zone):
            raise RefusedError(
                f"collecting is stopped by order {stop.order_id} of {stop.placed_at.date()}; nothing was recorded, "
                "let the person use the alternative"
            )


def _stop(row: Row[tuple[object, ...]]) -> CollectionStop:
    zone = None if row.purpose is None else Purpose(row.purpose)
    return CollectionStop(row.order_id, row.jurisdiction, zone, row.log_index, row.placed_at, row.lifted_at)
