"""Commitments to people's secrets, their half of a key: they open nothing, and are erased with the consent."""

from sqlalchemy import Connection, insert, select

from volens.consent import ConsentGrant, PersonSecret, Purpose, ReceiptId, RefusedError, VerifiedReceipt
from volens.consent.errors import DamagedDataError
from volens.store.people.consents import authenticate_consents
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.schema.personal_tables import OWNER
from volens.store.transaction import Transaction


def add_commitment(tx: Transaction, receipt: VerifiedReceipt, commitment: bytes) -> None:
    """Store the commitment (32 bytes) to a person's secret, in the transaction that puts the consent in force."""
    claims = receipt.claims
    owner = {name: getattr(claims, name) for name in OWNER}
    with tx.changing(Scope.CONSENT, [claims.receipt_id]):
        tx.connection.execute(insert(tables.subject_secret), {**owner, "commitment": commitment})


def receipt_of_secret(connection: Connection, purpose: Purpose, secret: PersonSecret) -> ReceiptId | None:
    """Return the consent of a zone that a secret goes with; None if there is none.

    Not checked: the rows; `check_person_secret` decides. Cost: one SHA-256 for each consent of the zone, because a
    commitment has the id of its receipt in it (7 ms for 10,000), and one query.
    """
    table = tables.subject_secret
    rows = connection.execute(select(table.c.receipt_id, table.c.commitment).where(table.c.purpose == purpose))
    found = [ReceiptId(row.receipt_id) for row in rows if secret.matches(row.commitment, ReceiptId(row.receipt_id))]
    return found[0] if found else None


def check_person_secret(connection: Connection, grant: ConsentGrant, secret: PersonSecret) -> None:
    """Check a presented secret against the commitment stored with this consent, in constant time.

    Raises:
        RefusedError: it is another secret.
        TamperError: the commitment is missing, or the rows of the consent were changed.
    """
    if not secret.matches(commitment_of(connection, grant.receipt_id), grant.receipt_id):
        raise RefusedError(
            "this secret is not the one that goes with this receipt; show the secret that was written next to it"
        )


def commitment_of(connection: Connection, receipt_id: ReceiptId) -> bytes:
    """Return the commitment (32 bytes) stored with a consent in force, in a zone where the person holds a secret.

    Raises:
        TamperError: it is missing, or the rows of the consent were changed.
    """
    consent = authenticate_consents(connection, [receipt_id]).get(receipt_id)
    kept = [] if consent is None else consent.rows.records(tables.subject_secret)
    if not kept:
        raise DamagedDataError("a consent has lost the commitment to its secret")
    commitment: bytes = kept[0]["commitment"]
    return commitment
