"""Rows that a renewed consent takes over from the one before it: leaving date, staff-list link, second factor."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, insert, select

from volens.consent import ReceiptId, ReferenceId
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.schema.personal_tables import OWNER, PERSONAL
from volens.store.transaction import Transaction

RenewedRows: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by the name of their table, in the order of the registry."""


def rows_to_renew(connection: Connection, receipt_id: ReceiptId) -> RenewedRows:
    """Return the rows of a consent that go on unchanged when it is renewed; only of tables that have any."""
    found = {
        one.table.name: connection.execute(select(one.table).where(one.table.c.receipt_id == receipt_id))
        .mappings()
        .all()
        for one in PERSONAL
        if one.kept_on_renewal
    }
    return {name: [dict(row) for row in rows] for name, rows in found.items() if rows}


def enrolled_rows(connection: Connection, receipt_id: ReceiptId) -> dict[ReferenceId, Mapping[str, Any]]:
    """Return the rows of the references and badges of a consent, by reference id; those of badges hold no embedding."""
    return {
        ReferenceId(row["reference_id"]): dict(row)
        for table in (tables.biometric_reference, tables.badge)
        for row in connection.execute(select(table).where(table.c.receipt_id == receipt_id)).mappings()
    }


def count_renewed(rows: RenewedRows) -> dict[str, int]:
    """Return how many rows there are, by the name that certificates use."""
    return {one.counted_as: len(rows[one.table.name]) for one in PERSONAL if one.table.name in rows}


def add_renewed_rows(tx: Transaction, rows: RenewedRows, owner: Mapping[str, str]) -> None:
    """Insert rows under the consent that `owner` (the columns of `OWNER`) names, and log how many.

    They are unique in their zone, so those of the old consent must be gone.
    """
    with tx.changing(Scope.CONSENT, [owner["receipt_id"]]):
        for one in PERSONAL:
            for row in rows.get(one.table.name, ()):
                tx.connection.execute(insert(one.table), {**row, **{name: owner[name] for name in OWNER}})
        counts: dict[str, str | int] = {name.replace(" ", "_"): its for name, its in count_renewed(rows).items()}
        tx.log("consent.renewed", {**owner, **counts}, receipt_id=ReceiptId(owner["receipt_id"]))
