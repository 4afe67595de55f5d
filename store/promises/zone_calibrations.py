"""The calibration of a zone: how far its thresholds lie above, or below, those that the model states.

A shift, and not a threshold: when the zone grows, its threshold rises with the model's curve. It is for one model. Each
change is a row that is sealed with the zone, and an entry in the log.
"""

from typing import Final

from sqlalchemy import Connection, insert

from volens.consent import ModelId, Purpose, RefusedError
from volens.consent.errors import DamagedDataError
from volens.store.promises.lease_revocation import revoke_leases
from volens.store.promises.zones_and_notices import zone_of
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

THOUSANDTHS: Final = 1000


def threshold_shift(connection: Connection, purpose: Purpose, model_id: ModelId) -> float:
    """Return how far the thresholds of a zone lie above those of a model; 0 if it was never calibrated.

    Raises:
        TamperError: the rows of the zone do not verify, or there is no such zone.
    """
    rows = seals_of(connection).cached(connection, Scope.ZONE, purpose)
    if rows is None:
        raise DamagedDataError(f"zone {purpose!r} has no rows")
    of_model = [one for one in rows.records(tables.zone_calibration) if one["model_id"] == model_id]
    newest = max(of_model, key=lambda one: int(one["number"]), default=None)
    return 0.0 if newest is None else int(newest["shift_thousandths"]) / THOUSANDTHS


def set_threshold_shift(
    tx: Transaction, purpose: Purpose, model_id: ModelId, shift: float, *, lower: bool = False
) -> float:
    """Shift the thresholds of a zone from now on, rounded to thousandths. Its doors use them at once. Return the shift.

    If it is the one in use, nothing is changed.

    Raises:
        UnknownError: there is no such zone.
        RefusedError: the thresholds would get lower without `lower`, or the zone was removed.
        TamperError: its rows do not verify.
    """
    zone_of(tx.connection, purpose).check_not_removed()
    before = round(threshold_shift(tx.connection, purpose, model_id) * THOUSANDTHS)
    after = round(shift * THOUSANDTHS)
    if after == before:
        return after / THOUSANDTHS
    if after < before and not lower:
        raise RefusedError(
            f"zone {purpose!r} would accept more strangers: its threshold would fall by "
            f"{(before - after) / THOUSANDTHS:.3f}; pass --lower if you, as the operator, accept that; it is logged"
        )
    rows = seals_of(tx.connection).cached(tx.connection, Scope.ZONE, purpose)
    numbers = [int(one["number"]) for one in rows.records(tables.zone_calibration)] if rows is not None else []
    revoke_leases(tx, purpose)
    values = {"purpose": purpose, "number": max(numbers, default=0) + 1, "model_id": model_id}
    with tx.changing(Scope.ZONE, [purpose]):
        tx.connection.execute(
            insert(tables.zone_calibration).values(**values, shift_thousandths=after, decided_at=tx.now)
        )
        details: dict[str, str | int] = {"zone": purpose, "model_id": model_id}
        tx.log("zone.calibrated", details | {"shift_thousandths": after, "before": before})
    return after / THOUSANDTHS
