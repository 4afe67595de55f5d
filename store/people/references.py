"""Biometric references in the data file: stored sealed, found only with a consent in force, opened one by one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn, final

from sqlalchemy import Connection, Select, Table, bindparam, exists, func, insert, select
from sqlalchemy.exc import IntegrityError

from volens.consent import (
    ConsentedEmbedding,
    Custody,
    DataSubjectId,
    ModelId,
    NoLiveConsentError,
    PersonSecret,
    Purpose,
    ReceiptId,
    ReferenceId,
    RefusedError,
    UnitVector,
    format_time,
    parse_time,
)
from volens.consent.clocks import INACTIVE_AFTER_DAYS, inactive_at
from volens.consent.embedding import FloatArray
from volens.store.keys import sealing
from volens.store.keys._unseal import unseal_embedding, unseal_into
from volens.store.keys.secrets import GrantSecret
from volens.store.people.consents import LiveConsents, StoredReceipt, stored_receipt
from volens.store.prepared_query import InList, PreparedQuery, ReadSnapshot
from volens.store.promises.collection_stops import refuse_if_stopped
from volens.store.promises.jurisdiction_clocks import JurisdictionClocks, clocks_in
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.schema.personal_tables import OWNER
from volens.store.transaction import Transaction

_reference = tables.biometric_reference.c
_live = tables.live_consent
_seen = tables.last_interaction
_receipt = tables.receipt
_zone = tables.zone
_ENDED: Final = "the consent ended while the photos were processed; nothing was stored"
_BY_OPERATOR: Final = _zone.c.custody == Custody.OPERATOR.value


@final
@dataclass(frozen=True, slots=True)
class SealedReference:
    """A reference as stored, with the receipt that its key is derived from.

    Attributes:
        live_until: when the consent ends, by the expiry clocks in its row or by inactivity, which a visit postpones.
        custody: of its zone; unless it is ``operator``, the reference opens only with both halves of the key.
    """

    reference_id: ReferenceId
    model_id: ModelId
    sealed_embedding: bytes
    live_until: datetime
    receipt: StoredReceipt
    custody: Custody

    def open(self, secret: GrantSecret, half: PersonSecret | None = None) -> UnitVector:
        """Open the embedding, with the person's `half` of the key if they have one; the caller wipes it.

        Raises:
            TamperError: reference, receipt, person, zone or model is not the one that was sealed.
        """
        if half is not None:
            with secret.joined(half) as whole:
                return self.open(whole)
        owner = self.receipt
        context = sealing.reference_context(
            self.reference_id, owner.receipt_id, owner.subject_id, owner.purpose, self.model_id
        )
        with secret.reference_key(owner.sha256, self.model_id) as key:
            return unseal_embedding(self.sealed_embedding, key, context, self.model_id)


def open_reference_into(
    box: memoryview,
    secret: GrantSecret,
    receipt_sha256: bytes,
    owner: tuple[ReferenceId, ReceiptId, DataSubjectId, Purpose],
    model_id: ModelId,
    into: FloatArray,
) -> None:
    """Open a sealed embedding into an array that the caller wipes, as `SealedReference.open` does.

    Raises:
        TamperError: reference, receipt, person, zone or model is not the one that was sealed.
    """
    with secret.reference_key(receipt_sha256, model_id) as key:
        unseal_into(box, key, sealing.reference_context(*owner, model_id), model_id, into)


def add_reference(
    tx: Transaction,
    embedding: ConsentedEmbedding,
    secret: GrantSecret,
    *,
    licence: str,
    photo_count: int,
    renewed_from: datetime | None = None,
) -> ReferenceId:
    """Seal and store an embedding under the consent that allows it.

    `renewed_from` is when an embedding of a renewed consent was enrolled; None if the photos were just taken.

    Raises:
        NoLiveConsentError: the consent ended since the grant was made; the database refuses as well.
        RefusedError: this consent already has a reference of this model, or collecting is stopped.
    """
    table = tables.biometric_reference
    reference_id = new_reference_id(tx, table, embedding)
    box = seal_embedding(tx, embedding, secret, reference_id)
    facts = {"model_licence": licence, "photo_count": photo_count, "enrolled_at": renewed_from or tx.now}
    event = "reference.enrolled" if renewed_from is None else "reference.renewed"
    insert_reference(tx, table, embedding, {"reference_id": reference_id, "sealed_embedding": box, **facts}, event)
    return reference_id


def new_reference_id(tx: Transaction, table: Table, embedding: ConsentedEmbedding) -> ReferenceId:
    """Check inside the transaction that an embedding may be enrolled, and return an id for its row.

    The id is bound into the seal, so it must be known before the row is inserted.

    Raises:
        NoLiveConsentError: the consent ended since the grant was made.
        RefusedError: the table has a row of this model under this consent, or collecting is stopped.
    """
    grant, its = embedding.grant, table.c
    known = select(its.reference_id).where(its.receipt_id == grant.receipt_id, its.model_id == embedding.model_id)
    if tx.connection.scalar(known) is not None:
        refuse_second_reference()
    until = LiveConsents(tx.connection).live_until(grant.receipt_id, grant.subject_id, grant.purpose)
    receipt = stored_receipt(tx.connection, grant.receipt_id)
    if until is None or until <= tx.now or receipt is None:
        raise NoLiveConsentError(_ENDED)
    refuse_if_stopped(tx.connection, receipt.verified().claims.jurisdiction, grant.purpose)
    return ReferenceId(tx.next_id(table))


def seal_embedding(
    tx: Transaction, embedding: ConsentedEmbedding, secret: GrantSecret, reference_id: ReferenceId
) -> bytes:
    """Seal an embedding under the key that is derived from a secret, bound to its owner, zone, model and id."""
    grant, model_id = embedding.grant, embedding.model_id
    context = sealing.reference_context(reference_id, grant.receipt_id, grant.subject_id, grant.purpose, model_id)
    with secret.reference_key(grant.receipt_sha256, model_id) as key:
        return sealing.seal(embedding.vector.array.data.cast("B"), key, context, tx.random)


def insert_reference(
    tx: Transaction, table: Table, embedding: ConsentedEmbedding, values: Mapping[str, Any], event: str
) -> None:
    """Insert the row of a reference or badge, and log it as this event.

    Raises:
        NoLiveConsentError: the database refused the row, because the consent ended.
    """
    grant = embedding.grant
    row = {name: getattr(grant, name) for name in OWNER} | dict(values) | {"model_id": embedding.model_id}
    logged = (*OWNER, "reference_id", "model_id", "photo_count")
    with tx.changing(Scope.CONSENT, [grant.receipt_id]):
        try:
            tx.connection.execute(insert(table), row)
        except IntegrityError:
            raise NoLiveConsentError(_ENDED) from None
        tx.log(event, {name: row[name] for name in logged}, receipt_id=grant.receipt_id)


def refuse_second_reference() -> NoReturn:
    """Refuse a second reference of the same model under one consent.

    Raises:
        RefusedError: always.
    """
    raise RefusedError(
        "this consent already has a reference of this model; to enroll again, withdraw and give a new consent"
    )


def live_candidates(
    connection: Connection | ReadSnapshot,
    purpose: Purpose,
    model_id: ModelId,
    candidates: Iterable[ReferenceId],
    now: datetime,
) -> dict[ReferenceId, SealedReference]:
    """Return, of the candidates that an index proposes, those that have a consent in force for this purpose now.

    In a zone where the person holds the key there are none for any candidates.
    """
    values = _live_now(purpose, model_id, now) | {"ids": [int(one) for one in candidates]}
    clocks = clocks_in(connection)
    found = (_sealed(row, clocks) for row in _CANDIDATES.rows(connection, values))
    return {one.reference_id: one for one in found if one.live_until > now}


def live_references_after(
    snapshot: ReadSnapshot, purpose: Purpose, model_id: ModelId, after: ReferenceId, now: datetime
) -> list[SealedReference]:
    """Return the next 64 references, by id, whose consent is in force by its row, with an id above `after`.

    Not checked: a clock of inactivity that is shorter than the longest; see `SealedReference.live_until`.
    """
    values = _live_now(purpose, model_id, now) | {"after": int(after)}
    clocks = clocks_in(snapshot)
    return [_sealed(row, clocks) for row in _NEXT.rows(snapshot, values)]


def live_ids(
    snapshot: ReadSnapshot, purpose: Purpose, model_id: ModelId, ids: Iterable[ReferenceId], now: datetime
) -> dict[ReferenceId, ReceiptId]:
    """Return the references that have a consent in force for this purpose now, and its receipt; nothing sealed."""
    values = _live_now(purpose, model_id, now) | {"ids": [int(one) for one in ids]}
    return {ReferenceId(one): ReceiptId(receipt) for one, receipt in _LIVE_IDS.rows(snapshot, values)}


def receipt_of_reference(connection: Connection, purpose: Purpose, reference_id: ReferenceId) -> ReceiptId | None:
    """Return the consent of a reference of a zone, in force or not; None if there is no such reference any more."""
    wanted = (_reference.reference_id == int(reference_id), _reference.purpose == purpose)
    found = connection.scalar(select(_reference.receipt_id).where(*wanted))
    return None if found is None else ReceiptId(found)


def sealed_references(connection: Connection, receipt_ids: Iterable[ReceiptId]) -> list[SealedReference]:
    """Return the references of consents, of every model."""
    wanted, clocks = _reference.receipt_id.in_(list(receipt_ids)), clocks_in(connection)
    rows = connection.execute(_SEALED.where(wanted).order_by(_reference.reference_id))
    return [_sealed(row, clocks) for row in rows]


def references_in(
    connection: Connection, purpose: Purpose, model_id: ModelId, wanted: Iterable[ReferenceId]
) -> Iterator[SealedReference]:
    """Yield references by id, to build a gallery, in batches of 500; none in zones where the person holds the key."""
    ids, clocks = [int(reference_id) for reference_id in wanted], clocks_in(connection)
    query = _SEALED.where(
        _BY_OPERATOR,
        _reference.purpose == purpose,
        _reference.model_id == model_id,
        _reference.reference_id.in_(bindparam("ids", expanding=True)),
    ).order_by(_reference.reference_id)
    for start in range(0, len(ids), _BATCH):
        for row in connection.execute(query, {"ids": ids[start : start + _BATCH]}):
            yield _sealed(row, clocks)


def reference_ids(connection: Connection, purpose: Purpose, model_id: ModelId, after: int = 0) -> set[ReferenceId]:
    """Return the ids of all references in a gallery; none in zones where the person holds the key.

    Ids grow and are never reused, so the ids above `after` are those enrolled later.
    """
    values = {"purpose": purpose, "model_id": model_id, "after": int(after)}
    return {ReferenceId(row) for (row,) in _IDS.rows(connection, values)}


def count_up_to(connection: Connection, purpose: Purpose, model_id: ModelId, newest: int) -> int:
    """Return how many references of a purpose and model have an id up to `newest`."""
    values = {"purpose": purpose, "model_id": model_id, "newest": int(newest)}
    ((count,),) = _COUNT.rows(connection, values)
    return int(count)


def has_reference(connection: Connection, receipt_id: ReceiptId, model_id: ModelId) -> bool:
    """Return whether a consent has a reference of a model."""
    query = select(_reference.reference_id).where(_reference.receipt_id == receipt_id, _reference.model_id == model_id)
    return connection.scalar(query) is not None


def count_references(connection: Connection, purpose: Purpose) -> dict[str, int]:
    """Return the number of references of a zone, by model."""
    query = (
        select(_reference.model_id, func.count())
        .where(_reference.purpose == purpose)
        .group_by(_reference.model_id)
        .order_by(_reference.model_id)
    )
    return {row.model_id: int(row[1]) for row in connection.execute(query)}


_BATCH: Final = 500
_READ_AHEAD: Final = 64
_SEALED: Final[Select[*tuple[Any, ...]]] = (
    select(
        _reference.reference_id,
        _reference.model_id,
        _reference.sealed_embedding,
        *_live.c,
        _seen.c.interacted_at,
        _receipt.c.subject_key,
        _receipt.c.token,
        _receipt.c.jurisdiction,
        _zone.c.custody,
    )
    .join_from(
        tables.biometric_reference,
        _live,
        (_live.c.receipt_id == _reference.receipt_id)
        & (_live.c.subject_id == _reference.subject_id)
        & (_live.c.purpose == _reference.purpose),
    )
    .join(_receipt, _receipt.c.receipt_id == _live.c.receipt_id)
    .outerjoin(_seen, _seen.c.receipt_id == _live.c.receipt_id)
    .outerjoin(_zone, _zone.c.purpose == _reference.purpose)  # the seal detects a row that was moved to no zone
)
_OF_GALLERY: Final = (_reference.purpose == bindparam("purpose")) & (_reference.model_id == bindparam("model_id"))
_IDS: Final = PreparedQuery(
    select(_reference.reference_id)
    .join_from(tables.biometric_reference, _zone, _zone.c.purpose == _reference.purpose)
    .where(_BY_OPERATOR, _OF_GALLERY, _reference.reference_id > bindparam("after"))
)
_COUNT: Final = PreparedQuery(
    select(func.count())
    .select_from(tables.biometric_reference)
    .where(_OF_GALLERY, _reference.reference_id <= bindparam("newest"))
)
_LIVE_NOW: Final = (
    (_live.c.expires_at > bindparam("now"))
    & (_seen.c.interacted_at > bindparam("active_since"))
    & ~exists().where(tables.restriction.c.receipt_id == _live.c.receipt_id)
)
_CANDIDATES: Final = PreparedQuery(
    _SEALED.where(_BY_OPERATOR, InList(_reference.reference_id, "ids"), _OF_GALLERY, _LIVE_NOW)
)
_NEXT: Final = PreparedQuery(
    _SEALED.where(_BY_OPERATOR, _reference.reference_id > bindparam("after"), _OF_GALLERY, _LIVE_NOW)
    .order_by(_reference.reference_id)
    .limit(_READ_AHEAD)
)
_LIVE_IDS: Final = PreparedQuery(
    select(_reference.reference_id, _reference.receipt_id)
    .join_from(
        tables.biometric_reference,
        _live,
        (_live.c.receipt_id == _reference.receipt_id)
        & (_live.c.subject_id == _reference.subject_id)
        & (_live.c.purpose == _reference.purpose),
    )
    .join(_seen, _seen.c.receipt_id == _live.c.receipt_id)
    .where(InList(_reference.reference_id, "ids"), _OF_GALLERY, _LIVE_NOW)
)
_NOT_LIVE: Final = datetime.fromtimestamp(0, UTC)


def _sealed(row: Sequence[Any], clocks: JurisdictionClocks) -> SealedReference:
    """Read the columns of `_SEALED`; a prepared query returns times as text."""
    reference_id, model_id, box, receipt_id, subject_id, purpose, expires_at, *others = row
    seen, subject_key, token, jurisdiction, custody = others
    receipt = StoredReceipt(ReceiptId(receipt_id), DataSubjectId(subject_id), Purpose(purpose), subject_key, token)
    held_by = Custody(custody or Custody.OPERATOR)
    until = _NOT_LIVE
    if seen:
        until = min(_time(expires_at), inactive_at(_time(seen), clocks.of(jurisdiction).inactive_after_days))
    return SealedReference(ReferenceId(reference_id), ModelId(model_id), box, until, receipt, held_by)


def _time(value: str | datetime) -> datetime:
    return parse_time(value) if isinstance(value, str) else value


def _live_now(purpose: Purpose, model_id: ModelId, now: datetime) -> dict[str, object]:
    """Return the parameters of `_OF_GALLERY` and `_LIVE_NOW`.

    The database compares with the longest clock of inactivity; `SealedReference.live_until` has the person's own.
    """
    active_since = format_time(now - timedelta(days=INACTIVE_AFTER_DAYS))
    return {"purpose": purpose, "model_id": model_id, "now": format_time(now), "active_since": active_since}
