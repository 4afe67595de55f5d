"""A guardian's signature beside a person's, in the row of the receipt (`volens.consent.age_statement`)."""

from sqlalchemy import Connection, select

from volens.consent import ReceiptId
from volens.store.schema.data_tables import receipt


def guardian_signature(connection: Connection, receipt_id: ReceiptId) -> str | None:
    """Return the token with which a guardian signed a receipt; None if none did.

    Not checked: the signature; it was verified before it was stored.
    """
    found = connection.scalar(select(receipt.c.guardian_token).where(receipt.c.receipt_id == receipt_id))
    return None if found is None else str(found)
