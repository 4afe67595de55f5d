"""Consents in the data file: the receipts, which stay, and the rows of the consents in force."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import final

from sqlalchemy import Connection, Row, delete, func, insert, select

from volens.consent import (
    DataSubjectId,
    EndReason,
    InputError,
    Purpose,
    ReceiptId,
    RefusedError,
    TamperError,
    VerifiedReceipt,
    WithdrawalCode,
)
from volens.consent.clocks import inactive_at
from volens.consent.receipt import verify_stored
from volens.consent.subject_key import SubjectPublicKey
from volens.store.keys import sealing
from volens.store.keys.secrets import GrantSecret
from volens.store.promises.collection_stops import refuse_if_stopped
from volens.store.schema import data_tables as tables
from volens.store.schema.personal_tables import OWNER
from volens.store.store import Store, Transaction


@final
@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """A receipt as stored; its content is not trusted before `verified`."""

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    purpose: Purpose
    subject_key: bytes
    token: str

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the stored bytes: the salt of the keys derived for this consent."""
        return sha256(self.token.encode("utf-8")).digest()

    def verified(self) -> VerifiedReceipt:
        """Check the stored receipt against the stored key, and the row against the receipt.

        Raises:
            TamperError: the row was changed.
        """
        try:
            receipt = verify_stored(self.token, SubjectPublicKey(self.subject_key))
        except InputError:
            raise TamperError("integrity: a stored receipt does not verify; restore the data file") from None
        claims = receipt.claims
        if (claims.receipt_id, claims.subject_id, claims.purpose) != (self.receipt_id, self.subject_id, self.purpose):
            raise TamperError("integrity: a stored receipt is in the place of another one; restore the data file")
        return receipt


@final
class LiveConsents:
    """The consents in force, as one snapshot has them; a `volens.consent.gate.ConsentLedger`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def live_until(self, receipt_id: ReceiptId, subject_id: DataSubjectId, purpose: Purpose) -> datetime | None:
        """Return when the consent in force ends, or None if there is none.

        The row has the end by every expiry clock that is never postponed; the clock of inactivity, which a visit moves,
        is computed here.
        """
        live, seen = tables.live_consent.c, tables.last_interaction.c
        row = self._connection.execute(
            select(live.expires_at, seen.interacted_at)
            .join_from(tables.live_consent, tables.last_interaction, seen.receipt_id == live.receipt_id, isouter=True)
            .where(live.receipt_id == receipt_id, live.subject_id == subject_id, live.purpose == purpose)
        ).one_or_none()
        if row is None or row.interacted_at is None:
            return None
        until: datetime = min(row.expires_at, inactive_at(row.interacted_at))
        return until


def add_consent(
    tx: Transaction, receipt: VerifiedReceipt, code: WithdrawalCode, name: str, secret: GrantSecret
) -> None:
    """Put a consent in force: receipt, live row, sealed name and log leaf in one transaction.

    Raises:
        RefusedError: this person already has a consent in force for this zone, or collecting is stopped.
    """
    claims = receipt.claims
    refuse_if_stopped(tx.connection, claims.jurisdiction, claims.purpose)
    live = tables.live_consent.c
    if tx.connection.scalar(
        select(live.receipt_id).where(live.subject_id == claims.subject_id, live.purpose == claims.purpose)
    ):
        raise RefusedError(
            f"this person's consent for zone {claims.purpose!r} is already in force; withdraw it, then give a new one"
        )
    owner = {name: getattr(claims, name) for name in OWNER}
    tx.connection.execute(
        insert(tables.receipt).values(
            **owner,
            subject_key=claims.subject_key.raw,
            token=receipt.token,
            withdrawal_digest=code.digest(),
            expires_at=claims.expires_at,
        )
    )
    tx.connection.execute(insert(tables.live_consent).values(**owner, expires_at=claims.expires_at))
    tx.connection.execute(insert(tables.last_interaction).values(**owner, interacted_at=claims.issued_at))
    with secret.profile_key(receipt.sha256) as key:
        sealed_name = sealing.seal(name.encode("utf-8"), key, _name_context(**owner), tx.random)
    tx.connection.execute(insert(tables.subject_profile), {**owner, "sealed_name": sealed_name})
    tx.log("consent.given", {**owner, "receipt_sha256": receipt.sha256.hex()}, receipt_id=claims.receipt_id)


def stored_receipt(connection: Connection, receipt_id: ReceiptId) -> StoredReceipt | None:
    """Return a receipt as stored, in force or not."""
    row = connection.execute(select(tables.receipt).where(tables.receipt.c.receipt_id == receipt_id)).one_or_none()
    return None if row is None else _stored(row)


def stored_receipts(connection: Connection, receipt_ids: Iterable[ReceiptId]) -> dict[ReceiptId, StoredReceipt]:
    """Return the receipts that are stored, in force or not."""
    rows = connection.execute(select(tables.receipt).where(tables.receipt.c.receipt_id.in_(list(receipt_ids))))
    return {ReceiptId(row.receipt_id): _stored(row) for row in rows}


def live_owner(connection: Connection, receipt_id: ReceiptId) -> dict[str, str] | None:
    """Return the `OWNER` columns for a row of a person whose consent is in force; None if it is not."""
    query = select(tables.live_consent).where(tables.live_consent.c.receipt_id == receipt_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else {name: row[name] for name in OWNER}


def receipt_of_code(connection: Connection, code: WithdrawalCode) -> StoredReceipt | None:
    """Return the receipt that a withdrawal code belongs to.

    The timing of the look-up by digest leaks at most how much of a SHA-256 of 130 random bits was guessed.
    """
    row = connection.execute(
        select(tables.receipt).where(tables.receipt.c.withdrawal_digest == code.digest())
    ).one_or_none()
    return _stored(row) if row is not None and code.matches(row.withdrawal_digest) else None


def live_receipts(connection: Connection, *, expired_at: datetime | None = None) -> list[ReceiptId]:
    """Return the consents in force; with `expired_at` only those whose term has ended by then."""
    live = tables.live_consent.c
    query = select(live.receipt_id).order_by(live.expires_at, live.receipt_id)
    if expired_at is not None:
        query = query.where(live.expires_at <= expired_at)
    return [ReceiptId(row) for row in connection.scalars(query)]


def live_receipts_of(
    connection: Connection, subject_ids: Iterable[DataSubjectId], where: Iterable[Purpose]
) -> list[ReceiptId]:
    """Return the consents in force of some people in some zones."""
    live = tables.live_consent.c
    query = select(live.receipt_id).where(live.subject_id.in_(list(subject_ids)), live.purpose.in_(list(where)))
    return [ReceiptId(row) for row in connection.scalars(query.order_by(live.receipt_id))]


def all_receipts(connection: Connection) -> set[ReceiptId]:
    """Return the ids of all receipts, in force or not."""
    return {ReceiptId(row) for row in connection.scalars(select(tables.receipt.c.receipt_id))}


def count_live(connection: Connection, purpose: Purpose) -> int:
    """Return the number of consents in force for a zone."""
    query = select(func.count()).select_from(tables.live_consent).where(tables.live_consent.c.purpose == purpose)
    return int(connection.scalar(query) or 0)


def sealed_name(connection: Connection, receipt_id: ReceiptId) -> bytes | None:
    """Return the sealed name of a consent in force."""
    return connection.scalar(
        select(tables.subject_profile.c.sealed_name).where(tables.subject_profile.c.receipt_id == receipt_id)
    )


def name_of(store: Store, receipt_id: ReceiptId) -> str | None:
    """Open the name of a person whose consent is in force; None if it is not.

    Raises:
        TamperError: the sealed name is another person's, or was changed.
    """
    with store.read() as connection:
        receipt, box = stored_receipt(connection, receipt_id), sealed_name(connection, receipt_id)
    if receipt is None or box is None:
        return None
    try:
        secret = store.keyring.grant_secret(receipt_id)
    except TamperError:
        with store.read() as connection:
            if sealed_name(connection, receipt_id) is None:
                return None  # another process ended the consent between the two files
        raise
    name = bytearray(max(0, len(box) - sealing.OVERHEAD_BYTES))
    owner = _name_context(receipt.receipt_id, receipt.subject_id, receipt.purpose)
    with secret, secret.profile_key(receipt.sha256) as key:
        sealing.open_into(box, key, owner, name)
    return name.decode("utf-8")


def end_consents(tx: Transaction, receipt_ids: Iterable[ReceiptId], reason: EndReason) -> list[ReceiptId]:
    """End consents: their rows are deleted, with references and names. Return those that were in force, in order."""
    wanted = list(receipt_ids)
    live = tables.live_consent.c.receipt_id
    in_force = set(tx.connection.scalars(select(live).where(live.in_(wanted))))
    ended = [receipt_id for receipt_id in wanted if receipt_id in in_force]
    if ended:
        tx.connection.execute(delete(tables.live_consent).where(live.in_(ended)))
        rows = [{"receipt_id": one, "reason": reason.value, "ended_at": tx.now} for one in ended]
        tx.connection.execute(insert(tables.consent_end), rows)
    return ended


def consent_ended(connection: Connection, receipt_id: ReceiptId) -> tuple[EndReason, datetime] | None:
    """Return why and when a consent ended."""
    row = connection.execute(
        select(tables.consent_end).where(tables.consent_end.c.receipt_id == receipt_id)
    ).one_or_none()
    return None if row is None else (EndReason(row.reason), row.ended_at)


def _stored(row: Row[tuple[object, ...]]) -> StoredReceipt:
    return StoredReceipt(
        ReceiptId(row.receipt_id), DataSubjectId(row.subject_id), Purpose(row.purpose), row.subject_key, row.token
    )


def _name_context(receipt_id: str, subject_id: str, purpose: str) -> bytes:
    return sealing.context("name", receipt_id, subject_id, purpose)
