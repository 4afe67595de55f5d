"""What the site keeps of a person's half of a key: a commitment, which dies with the consent and opens nothing."""

from sqlalchemy import Connection, insert, select

from volens.consent import ConsentGrant, PersonSecret, RefusedError, TamperError, VerifiedReceipt
from volens.store.schema import data_tables as tables
from volens.store.store import Transaction


def add_commitment(tx: Transaction, receipt: VerifiedReceipt, secret: PersonSecret) -> None:
    """Commit to the secret that a person takes home, in the transaction that puts their consent in force."""
    claims = receipt.claims
    tx.connection.execute(
        insert(tables.subject_secret),
        {
            "receipt_id": claims.receipt_id,
            "subject_id": claims.subject_id,
            "purpose": claims.purpose,
            "commitment": secret.commitment(claims.receipt_id),
        },
    )


def check_person_secret(connection: Connection, grant: ConsentGrant, secret: PersonSecret) -> None:
    """Check the secret that somebody shows against the one that this consent was given with, in constant time.

    Raises:
        RefusedError: it is another one.
        TamperError: the data file does not know of any.
    """
    commitment = connection.scalar(
        select(tables.subject_secret.c.commitment).where(tables.subject_secret.c.receipt_id == grant.receipt_id)
    )
    if commitment is None:
        raise TamperError("integrity: a consent has lost the commitment to its secret; restore the data file")
    if not secret.matches(commitment, grant.receipt_id):
        raise RefusedError(
            "this secret is not the one that goes with this receipt; show the secret that was written beside it"
        )
