"""Opens what is sealed in a copy of a site: the seals of rows, and the embeddings, each under its person's secret."""

from typing import Final, NamedTuple

from sqlalchemy import func, select

from volens.consent import Custody, ReceiptId
from volens.store.keys.lost_secret import lost_secret
from volens.store.people.references import sealed_references
from volens.store.people.seal_check import broken_rows
from volens.store.schema import data_tables as tables
from volens.store.store import Store

_BATCH: Final = 500


class Opened(NamedTuple):
    """How many seals of rows, and embeddings, were opened; and how many only the person's half of the key opens."""

    seals: int
    references: int
    closed_references: int


def open_all(store: Store) -> Opened:
    """Open everything that opens without the people. Nothing opened is kept.

    Raises:
        TamperError: something does not open.
    """
    for problem in broken_rows(store):
        raise problem
    its, opened, closed = tables.biometric_reference.c, 0, 0
    with store.read() as connection:
        seals = int(connection.scalar(select(func.count()).select_from(tables.row_seal)) or 0)
        owners = list(map(ReceiptId, connection.scalars(select(its.receipt_id).distinct().order_by(its.receipt_id))))
        for start in range(0, len(owners), _BATCH):
            batch = owners[start : start + _BATCH]
            secrets = store.keyring.grant_secrets(batch)
            try:
                for one in sealed_references(connection, batch):
                    if one.custody is not Custody.OPERATOR:
                        closed += 1
                        continue
                    if one.receipt.receipt_id not in secrets:
                        raise lost_secret()
                    one.open(secrets[one.receipt.receipt_id]).wipe()
                    opened += 1
            finally:
                for secret in secrets.values():
                    secret.wipe()
        closed += int(connection.scalar(select(func.count()).select_from(tables.badge)) or 0)
    return Opened(seals, opened, closed)
