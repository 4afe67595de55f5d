"""Cosignatures of witnesses in the data file: signature lines for stored checkpoints."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select

from volens.audit import MAX_SIZE
from volens.audit.cosignature import Cosignature, WitnessKey, cosignatures_of, with_cosignatures
from volens.consent import TamperError
from volens.store.log.log_reading import SignedHead
from volens.store.schema import data_tables as tables

_cosignature = tables.cosignature.c


def add_cosignature(connection: Connection, size: int, witness_id: str, cosignature: Cosignature) -> bool:
    """Store a witness's cosignature of the checkpoint of `size` leaves; return whether it is the first."""
    if witness_id in lines_of(connection, size):
        return False
    connection.execute(
        insert(tables.cosignature).values(
            size=size, witness_id=witness_id, line=cosignature.line, cosigned_at=cosignature.at
        )
    )
    return True


def lines_of(connection: Connection, size: int) -> dict[str, str]:
    """Return the signature lines for the checkpoint of `size` leaves, by the id of their witness."""
    query = select(_cosignature.witness_id, _cosignature.line).where(_cosignature.size == size)
    return {row.witness_id: row.line for row in connection.execute(query.order_by(_cosignature.witness_id))}


def newest_cosigned(connection: Connection, witness_id: str, at_most: int = MAX_SIZE) -> tuple[int, datetime] | None:
    """Return size and time of the newest checkpoint, of at most so many leaves, that a witness has cosigned."""
    query = select(_cosignature.size, _cosignature.cosigned_at).where(
        _cosignature.witness_id == witness_id, _cosignature.size <= at_most
    )
    row = connection.execute(query.order_by(_cosignature.size.desc()).limit(1)).one_or_none()
    return None if row is None else (row.size, row.cosigned_at)


def first_cosigned(connection: Connection, at_least: int) -> SignedHead | None:
    """Return the first checkpoint of at least so many leaves that a witness has cosigned, as the site signed it."""
    note = tables.audit_checkpoint
    query = (
        select(note.c.size, note.c.note)
        .join_from(note, tables.cosignature, _cosignature.size == note.c.size)
        .where(_cosignature.size >= at_least)
        .order_by(_cosignature.size)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else SignedHead(row.size, row.note)


def cosigned_note(connection: Connection, head: SignedHead, keys: Sequence[WitnessKey]) -> str:
    """Return the note of a checkpoint with the cosignatures of these witnesses.

    A stored line that does not verify is left out: someone changed it, and a reader would refuse the whole note.
    """
    lines = []
    for line in lines_of(connection, head.size).values():
        try:
            lines += [one.line for one in cosignatures_of(head.note + line, keys)]
        except TamperError:
            continue
    return with_cosignatures(head.note, lines)
