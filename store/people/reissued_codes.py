"""A new withdrawal code for a consent in force: the digest in the row of the receipt is replaced.

The row is sealed with the consent, and the keyring takes the new digest over from a row that verifies only
(`volens.store.log.remembrance`), so a program that can merely write the data file cannot exchange a code.
"""

from sqlalchemy import Connection, select, update

from volens.consent import ReceiptId, WithdrawalCode
from volens.store.log import CODE_REISSUED
from volens.store.people.consents import live_owner
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction


def replace_code(tx: Transaction, receipt_id: ReceiptId, code: WithdrawalCode) -> bool:
    """Replace the withdrawal code of a consent, and log it; False if it is not in force.

    Raises:
        TamperError: the rows of the consent do not verify.
    """
    owner = live_owner(tx.connection, receipt_id)
    if owner is None:
        return False
    table = tables.receipt
    with tx.changing(Scope.CONSENT, [receipt_id]):
        # As a parameter: a value inside a statement remains in SQLAlchemy's statement cache.
        changed = update(table).where(table.c.receipt_id == receipt_id)
        tx.connection.execute(changed, {"withdrawal_digest": code.digest()})
        tx.log(CODE_REISSUED, owner, receipt_id=receipt_id)
    return True


def notice_agreed_to(connection: Connection, sha256: str) -> str | None:
    """Return the text of the notice that a receipt names by its SHA-256, hexadecimal."""
    notice = tables.notice.c
    return connection.scalar(select(notice.text).where(notice.sha256 == sha256).limit(1))
