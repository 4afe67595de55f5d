"""References that new photos took the place of: the old row is deleted, and a note without any embedding stays."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, final

from sqlalchemy import Connection, Table, delete, insert, select

from volens.consent import ConsentGrant, ModelId, ReferenceId, RefusedError
from volens.store.log import REFERENCE_REPLACED
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.schema.personal_tables import OWNER
from volens.store.transaction import Transaction

_RECOGNISED_BY_BYTES: Final = 32


class PhotoChange(StrEnum):
    """What new photos do to the reference that is there."""

    REPLACE = "replace"
    ADD = "add"


@final
@dataclass(frozen=True, slots=True)
class EnrolledReference:
    """What is known of a reference or badge besides its embedding.

    Attributes:
        recognised_by: 32 bytes by which an erasure recognises an old copy: the beginning of the sealed embedding, or
            the digest of the badge.
    """

    table: Table
    reference_id: ReferenceId
    model_id: ModelId
    photo_count: int
    enrolled_at: datetime
    recognised_by: bytes


def enrolled_reference(connection: Connection, reference_id: ReferenceId, *, on_badge: bool) -> EnrolledReference:
    """Return what is known of a reference, in the store or on a badge.

    Raises:
        RefusedError: it is not there any more.
    """
    table = tables.badge if on_badge else tables.biometric_reference
    row = connection.execute(select(table).where(table.c.reference_id == reference_id)).mappings().one_or_none()
    if row is None:
        raise _replaced_meanwhile()
    recognised_by = row["badge_sha256"] if on_badge else bytes(row["sealed_embedding"][:_RECOGNISED_BY_BYTES])
    return EnrolledReference(
        table, reference_id, ModelId(row["model_id"]), row["photo_count"], row["enrolled_at"], recognised_by
    )


def remove_reference(tx: Transaction, grant: ConsentGrant, its: EnrolledReference, change: PhotoChange) -> None:
    """Delete the row of a reference, and note what it was; the caller stores the new one in the same transaction.

    Raises:
        RefusedError: the row is not there any more.
    """
    note = {
        **{name: getattr(grant, name) for name in OWNER},
        "model_id": its.model_id,
        "change": change.value,
        "recognised_by": its.recognised_by,
        "photo_count": its.photo_count,
        "enrolled_at": its.enrolled_at,
        "replaced_at": tx.now,
    }
    with tx.changing(Scope.CONSENT, [grant.receipt_id]):
        if not tx.connection.execute(delete(its.table).where(its.table.c.reference_id == its.reference_id)).rowcount:
            raise _replaced_meanwhile()
        tx.connection.execute(insert(tables.replaced_reference), note)
        logged = {name: note[name] for name in (*OWNER, "change", "model_id", "photo_count")}
        tx.log(REFERENCE_REPLACED, {**logged, "reference_id": its.reference_id}, receipt_id=grant.receipt_id)


def _replaced_meanwhile() -> RefusedError:
    return RefusedError("the reference was replaced meanwhile; nothing was changed; try again")
