"""The erasure journal and the certificates in the data file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, final

import rfc8785
from sqlalchemy import Connection, insert, select, update

from consent import ReceiptId
from store import schema as tables
from store.store import Transaction


class ErasureState(StrEnum):
    """How far an erasure is (docs: DESIGN.md 8). `requested` and `stopped` are one commit."""

    STOPPED = "stopped"
    SHREDDED = "shredded"
    REMOVED = "removed"
    SCRUBBED = "scrubbed"
    VERIFIED = "verified"
    CERTIFIED = "certified"
    NOTIFIED = "notified"


@final
@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One erasure under way or done. `facts` holds counts and fingerprints only, nothing to be erased."""

    receipt_id: ReceiptId
    state: ErasureState
    facts: Mapping[str, Any]
    changed_at: datetime


@final
@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate as issued."""

    certificate_id: str
    token: str
    issued_at: datetime


def open_entry(tx: Transaction, receipt_id: ReceiptId, facts: Mapping[str, Any]) -> None:
    """Begin an erasure in the journal, in the transaction that stops the consent."""
    tx.connection.execute(
        insert(tables.erasure).values(
            receipt_id=receipt_id, state=ErasureState.STOPPED.value, facts=_encode(facts), changed_at=tx.now
        )
    )


def advance(tx: Transaction, receipt_id: ReceiptId, state: ErasureState, facts: Mapping[str, Any]) -> None:
    """Note that a step is done."""
    tx.connection.execute(
        update(tables.erasure)
        .where(tables.erasure.c.receipt_id == receipt_id)
        .values(state=state.value, facts=_encode(facts), changed_at=tx.now)
    )


def entry(connection: Connection, receipt_id: ReceiptId) -> JournalEntry | None:
    """Return an erasure's state."""
    row = connection.execute(select(tables.erasure).where(tables.erasure.c.receipt_id == receipt_id)).one_or_none()
    if row is None:
        return None
    return JournalEntry(ReceiptId(row.receipt_id), ErasureState(row.state), json.loads(row.facts), row.changed_at)


def unfinished(connection: Connection) -> list[ReceiptId]:
    """Return the erasures that are not finished, oldest first."""
    query = (
        select(tables.erasure.c.receipt_id)
        .where(tables.erasure.c.state != ErasureState.NOTIFIED.value)
        .order_by(tables.erasure.c.changed_at, tables.erasure.c.receipt_id)
    )
    return [ReceiptId(row) for row in connection.scalars(query)]


def add_certificate(tx: Transaction, receipt_id: ReceiptId, certificate: StoredCertificate) -> None:
    """Keep a certificate."""
    tx.connection.execute(
        insert(tables.certificate).values(
            receipt_id=receipt_id,
            certificate_id=certificate.certificate_id,
            token=certificate.token,
            issued_at=certificate.issued_at,
        )
    )


def certificate_of(connection: Connection, receipt_id: ReceiptId) -> StoredCertificate | None:
    """Return the certificate of an erased consent."""
    row = connection.execute(
        select(tables.certificate).where(tables.certificate.c.receipt_id == receipt_id)
    ).one_or_none()
    return None if row is None else StoredCertificate(row.certificate_id, row.token, row.issued_at)


def _encode(facts: Mapping[str, Any]) -> str:
    return rfc8785.dumps(dict(facts)).decode("utf-8")
