"""Until when the evidence of an ended consent is kept: the period of the profile of the person's jurisdiction."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from volens.consent import ReceiptId
from volens.store.promises.jurisdiction_clocks import clocks_in
from volens.store.schema import data_tables as tables


def evidence_ends(connection: Connection, receipt_ids: Sequence[ReceiptId], ended_at: datetime) -> dict[str, datetime]:
    """Return until when the evidence of consents that end now is kept, by receipt id."""
    receipt = tables.receipt.c
    rows = connection.execute(
        select(receipt.receipt_id, receipt.jurisdiction).where(receipt.receipt_id.in_(receipt_ids))
    ).all()
    clocks = clocks_in(connection)
    return {row.receipt_id: ended_at + timedelta(days=clocks.of(row.jurisdiction).evidence_days) for row in rows}
