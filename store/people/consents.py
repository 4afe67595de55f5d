"""Consents in the data file: the receipts, which stay, and the rows of the consents in force."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Final, final

from sqlalchemy import Connection, Row, delete, insert, select

from volens.consent import (
    DataSubjectId,
    EndReason,
    InputError,
    Purpose,
    ReceiptId,
    RefusedError,
    SiteId,
    TamperError,
    VerifiedReceipt,
    WithdrawalCode,
    parse_time,
)
from volens.consent.clocks import inactive_at
from volens.consent.errors import DamagedDataError, ReceiptSignatureError
from volens.consent.reason import Reason
from volens.consent.receipt import verify_stored
from volens.consent.subject_key import SubjectPublicKey
from volens.store.keys import sealing
from volens.store.keys.generations import receipt_of_digest
from volens.store.keys.secrets import GrantSecret, Random
from volens.store.log import log_size
from volens.store.people.evidence_terms import evidence_ends
from volens.store.prepared_query import InList, PreparedQuery, ReadSnapshot
from volens.store.promises.collection_stops import refuse_if_stopped
from volens.store.promises.declared_facts import site_facts
from volens.store.promises.jurisdiction_clocks import clocks_in
from volens.store.promises.site_profiles import refuse_unlawful
from volens.store.promises.stated_jurisdictions import refuse_not_stated
from volens.store.row_seals import SealedRows, seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.schema.personal_tables import OWNER
from volens.store.store import Store
from volens.store.transaction import Transaction


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
        except (InputError, ReceiptSignatureError):
            # Of a document that a caller sent these would be the caller's fault; this one is ours.
            raise DamagedDataError("a stored receipt does not verify") from None
        claims = receipt.claims
        if (claims.receipt_id, claims.subject_id, claims.purpose) != (self.receipt_id, self.subject_id, self.purpose):
            raise DamagedDataError("a stored receipt is in the place of another one")
        return receipt

    def verified_until(self, site_id: SiteId, purpose: Purpose) -> datetime:
        """Verify the receipt, and return when the term ends that the person signed for this site and zone.

        Raises:
            TamperError: the row was changed, or the receipt is for another site or zone.
        """
        claims = self.verified().claims
        if claims.site_id != site_id or claims.purpose != purpose:
            raise other_receipt()
        return claims.expires_at


def other_receipt() -> TamperError:
    """Return the error about a match whose receipt does not allow it."""
    return DamagedDataError("the matched person's receipt is for another site, zone or time than its row says")


@final
@dataclass(frozen=True, slots=True)
class AuthenticConsent:
    """A consent in force whose rows were verified.

    Attributes:
        expires_at: when it ends by every expiry clock that is never postponed, as the database stores it.
        interacted_at: the last visit, which moves the clock of inactivity, as the database stores it.
        inactive_after_days: how long that clock runs in the person's jurisdiction.
        rows: all rows of its scope (`volens.store.schema.authenticated`).
    """

    receipt: StoredReceipt
    expires_at: str
    interacted_at: str
    inactive_after_days: int
    rows: SealedRows

    @property
    def is_restricted(self) -> bool:
        """Whether the person has restricted it (GDPR 18)."""
        return bool(self.rows.tables[tables.restriction.name])

    @property
    def ends_at(self) -> datetime:
        """When it ends, by every clock."""
        return min(parse_time(self.expires_at), inactive_at(parse_time(self.interacted_at), self.inactive_after_days))


def authenticate_consents(
    connection: Connection | ReadSnapshot, receipt_ids: Iterable[ReceiptId]
) -> dict[ReceiptId, AuthenticConsent]:
    """Return those of the consents that are in force, expired or not, after verifying their rows.

    Raises:
        TamperError: the rows of one do not verify.
    """
    found: dict[ReceiptId, AuthenticConsent] = {}
    for receipt_id, one in inspect_consents(connection, receipt_ids).items():
        if isinstance(one, TamperError):
            raise one
        found[receipt_id] = one
    return found


def inspect_consents(
    connection: Connection | ReadSnapshot, receipt_ids: Iterable[ReceiptId]
) -> dict[ReceiptId, AuthenticConsent | TamperError]:
    """Return what `authenticate_consents` does, or the error of a consent, so that it closes no other.

    Cost: ten queries, and 15 us for each consent.
    """
    seals, wanted, clocks = seals_of(connection), list(receipt_ids), clocks_in(connection)
    visits = {
        receipt_id: (interacted_at, mac)
        for receipt_id, interacted_at, mac in _INTERACTIONS.rows(connection, {"ids": wanted})
    }
    found: dict[ReceiptId, AuthenticConsent | TamperError] = {}
    for receipt_id, rows in seals.inspected(connection, Scope.CONSENT, wanted).items():
        one = ReceiptId(receipt_id)
        if isinstance(rows, TamperError):
            found[one] = rows
            continue
        interacted_at, mac = visits.get(receipt_id, ("", b""))
        if not compare_digest(mac, seals.interaction_mac(receipt_id, interacted_at)):
            found[one] = seals.damaged(
                f"the row of consent {receipt_id!r} in last_interaction was changed by another program; it is closed"
            )
            continue
        ((_, subject_id, purpose, expires_at),) = rows.tables[tables.live_consent.name]
        ((*_, jurisdiction, subject_key, token, _guardian, _digest, _term),) = rows.tables[tables.receipt.name]
        receipt = StoredReceipt(one, DataSubjectId(subject_id), Purpose(purpose), subject_key, token)
        found[one] = AuthenticConsent(
            receipt, expires_at, interacted_at, clocks.of(jurisdiction).inactive_after_days, rows
        )
    return found


@final
class LiveConsents:
    """The consents in force, as one snapshot has them, verified; a `volens.consent.gate.ConsentLedger`.

    Those in `stopped` are not in force, and those in `paused` are restricted, whatever their rows say.
    """

    def __init__(self, connection: Connection, stopped: Container[str] = (), paused: Container[str] = ()) -> None:
        self._connection = connection
        self._stopped = stopped
        self._paused = paused

    def live_until(self, receipt_id: ReceiptId, subject_id: DataSubjectId, purpose: Purpose) -> datetime | None:
        """Return when the consent in force ends, or None if there is none.

        Raises:
            TamperError: its rows do not verify.
        """
        found = authenticate_consents(self._connection, [receipt_id]).get(receipt_id)
        is_other = found is None or (found.receipt.subject_id, found.receipt.purpose) != (subject_id, purpose)
        if found is None or is_other or receipt_id in self._stopped:
            return None
        return found.ends_at

    def is_restricted(self, receipt_id: ReceiptId) -> bool:
        """Return whether the person has restricted the consent; see `live_until`."""
        found = authenticate_consents(self._connection, [receipt_id]).get(receipt_id)
        return found is not None and (found.is_restricted or receipt_id in self._paused)


def add_consent(
    tx: Transaction,
    receipt: VerifiedReceipt,
    code: WithdrawalCode,
    name: str,
    secret: GrantSecret,
    guardian_signature: str | None = None,
) -> None:
    """Put a consent in force: receipt, live row, sealed name and log leaf in one transaction.

    The signature of a guardian was verified, and is kept with the receipt.

    Raises:
        RefusedError: this person already has a consent in force for this zone, collecting is stopped, no profile covers
            the person's jurisdiction, or its law forbids the custody.
    """
    claims = receipt.claims
    refuse_if_stopped(tx.connection, claims.jurisdiction, claims.purpose)
    refuse_unlawful(tx.connection, claims.jurisdiction, claims.custody, claims.purpose)
    live = tables.live_consent.c
    if tx.connection.scalar(
        select(live.receipt_id).where(live.subject_id == claims.subject_id, live.purpose == claims.purpose)
    ):
        raise RefusedError(
            f"this person's consent for zone {claims.purpose!r} is already in force; withdraw it, then give a new one",
            reason=Reason.CONSENT_IN_FORCE,
        )
    refuse_not_stated(tx.connection, site_facts(tx.connection), claims.jurisdiction)
    owner = {name: getattr(claims, name) for name in OWNER}
    visited = tx.interaction(claims.receipt_id, claims.issued_at)
    sealed_name = seal_name(name, owner, receipt.sha256, secret, tx.random)
    with tx.changing(Scope.CONSENT, [claims.receipt_id]):
        tx.connection.execute(
            insert(tables.receipt).values(
                **owner,
                jurisdiction=claims.jurisdiction,
                subject_key=claims.subject_key.jwk,
                token=receipt.token,
                guardian_token=guardian_signature,
                withdrawal_digest=code.digest(),
                expires_at=claims.expires_at,
            )
        )
        tx.connection.execute(insert(tables.live_consent).values(**owner, expires_at=claims.expires_at))
        tx.connection.execute(insert(tables.last_interaction).values(**owner, **visited))
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

    The keyring decides, which has the digest of every code: a code works although its row in the data file was
    changed. The row counts where the keyring is older, and only if the consent has ended or its rows verify: a changed
    row must not end the consent of another person.
    The timing of the look-up by digest leaks at most how much of a SHA-256 of 130 random bits was guessed.

    Raises:
        TamperError: only a row that does not verify has this code.
    """
    remembered = receipt_of_digest(seals_of(connection).keyring, code.digest())
    if remembered is not None:
        return stored_receipt(connection, remembered)
    row = connection.execute(
        select(tables.receipt).where(tables.receipt.c.withdrawal_digest == code.digest())
    ).one_or_none()
    if row is None or not code.matches(row.withdrawal_digest):
        return None
    authenticate_consents(connection, [ReceiptId(row.receipt_id)])
    return _stored(row)


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
    with secret:
        return open_name(receipt, box, secret)


def open_name(receipt: StoredReceipt, box: bytes, secret: GrantSecret) -> str:
    """Open a sealed name. The buffer is zeroed; the caller wipes the secret.

    Raises:
        TamperError: it is another person's, or was changed.
    """
    name = bytearray(max(0, len(box) - sealing.OVERHEAD_BYTES))
    context = _name_context(receipt.receipt_id, receipt.subject_id, receipt.purpose)
    try:
        with secret.profile_key(receipt.sha256) as key:
            sealing.open_into(box, key, context, name)
        return name.decode("utf-8").rstrip("\0")
    finally:
        name[:] = bytes(len(name))


def seal_name(name: str, owner: Mapping[str, str], receipt_sha256: bytes, secret: GrantSecret, random: Random) -> bytes:
    """Seal a name for the consent that `owner` (the columns of `OWNER`) names."""
    with secret.profile_key(receipt_sha256) as key:
        return sealing.seal(sealing.padded(name), key, _name_context(**owner), random)


def replace_name(tx: Transaction, owner: Mapping[str, str], box: bytes) -> None:
    """Replace the sealed name of the consent that `owner` (the columns of `OWNER`) names, and log it."""
    table, receipt_id = tables.subject_profile, ReceiptId(owner["receipt_id"])
    tx.connection.execute(delete(table).where(table.c.receipt_id == receipt_id))
    tx.connection.execute(insert(table), {**owner, "sealed_name": box, "corrected_at": tx.now})
    tx.log("consent.corrected", {**owner, "what": "name"}, receipt_id=receipt_id)


def end_consents(tx: Transaction, receipt_ids: Iterable[ReceiptId], reason: EndReason) -> list[ReceiptId]:
    """End consents: their rows are deleted, with references and names. Return those that were in force, in order."""
    wanted = list(receipt_ids)
    live = tables.live_consent.c.receipt_id
    in_force = set(tx.connection.scalars(select(live).where(live.in_(wanted))))
    ended = [receipt_id for receipt_id in wanted if receipt_id in in_force]
    if ended:
        tx.ending(Scope.CONSENT, ended)
        tx.connection.execute(delete(tables.live_consent).where(live.in_(ended)))
        end = {"reason": reason.value, "ended_at": tx.now, "log_size": log_size(tx.connection)}
        until = evidence_ends(tx.connection, ended, tx.now)
        rows = [{"receipt_id": one, **end, "evidence_until": until[one]} for one in ended]
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


_INTERACTIONS: Final = PreparedQuery(
    select(
        tables.last_interaction.c.receipt_id, tables.last_interaction.c.interacted_at, tables.last_interaction.c.mac
    ).where(InList(tables.last_interaction.c.receipt_id, "ids"))
)


def _name_context(receipt_id: str, subject_id: str, purpose: str) -> bytes:
    """Return the associated data of a sealed name: moved to another owner or zone, it does not open."""
    return sealing.context("name", receipt_id, subject_id, purpose)
