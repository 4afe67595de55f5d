"""Biometric references in the data file: stored sealed, found only under live consent, opened one by one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, final

from sqlalchemy import Connection, Select, bindparam, exists, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from volens.consent import (
    ConsentedEmbedding,
    ConsentGrant,
    Custody,
    DataSubjectId,
    ModelId,
    NoLiveConsentError,
    Purpose,
    ReceiptId,
    ReferenceId,
    RefusedError,
    UnitVector,
    format_time,
    parse_time,
)
from volens.consent.clocks import INACTIVE_AFTER_DAYS
from volens.store.keys import sealing
from volens.store.keys._unseal import unseal_embedding
from volens.store.keys.secrets import GrantSecret
from volens.store.people.consents import Ledger, StoredReceipt, stored_receipt
from volens.store.promises.collection_stops import refuse_if_stopped
from volens.store.schema import data_tables as tables
from volens.store.sqlite.prepared_query import Glance, PreparedQuery, among, listed
from volens.store.store import Transaction

_reference = tables.biometric_reference.c
_live = tables.live_consent
_receipt = tables.receipt
_zone = tables.zone
_GONE: Final = "the consent ended while the photos were looked at; nothing was stored"
_BY_OPERATOR: Final = _zone.c.custody == Custody.OPERATOR.value


@final
@dataclass(frozen=True, slots=True)
class SealedReference:
    """A reference as stored, with the receipt that its key is derived from.

    Attributes:
        custody: of its zone; unless it is the operator's, the reference opens with the secret of both halves only.
    """

    reference_id: ReferenceId
    model_id: ModelId
    sealed_embedding: bytes
    expires_at: datetime
    receipt: StoredReceipt
    custody: Custody

    def open(self, secret: GrantSecret) -> UnitVector:
        """Open the embedding; the caller wipes it.

        Raises:
            TamperError: reference, receipt, owner, zone or model is not what was sealed.
        """
        owner = self.receipt
        context = sealing.reference_context(
            self.reference_id, owner.receipt_id, owner.subject_id, owner.purpose, self.model_id
        )
        with secret.reference_key(owner.sha256, self.model_id) as key:
            return unseal_embedding(self.sealed_embedding, key, context, self.model_id)


def add_reference(
    tx: Transaction, embedding: ConsentedEmbedding, secret: GrantSecret, *, licence: str, photo_count: int
) -> ReferenceId:
    """Seal and store an embedding under the consent that allows it.

    Raises:
        NoLiveConsentError: the consent ended since the grant was made; the database refuses as well.
        RefusedError: this consent already has a reference of this model, or collecting is stopped.
    """
    grant = embedding.grant
    owner = {"receipt_id": grant.receipt_id, "subject_id": grant.subject_id, "purpose": grant.purpose}
    if has_reference(tx.connection, grant.receipt_id, embedding.model_id):
        refuse_second_reference()
    require_live(tx, grant)
    # The id is bound into the seal, so it must be known before the row is; the write lock keeps it ours.
    last = tx.connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'biometric_reference'"))
    reference_id = ReferenceId((last or 0) + 1)
    context = sealing.reference_context(
        reference_id, grant.receipt_id, grant.subject_id, grant.purpose, embedding.model_id
    )
    with secret.reference_key(grant.receipt_sha256, embedding.model_id) as key:
        plain = embedding.vector.array.data.cast("B")
        box = sealing.seal(plain, key, context, tx.random)
    try:
        tx.connection.execute(
            insert(tables.biometric_reference),
            {
                **owner,
                "reference_id": reference_id,
                "model_id": embedding.model_id,
                "model_licence": licence,
                "sealed_embedding": box,
                "photo_count": photo_count,
                "enrolled_at": tx.now,
            },
        )
    except IntegrityError:
        raise NoLiveConsentError(_GONE) from None
    tx.log(
        "reference.enrolled",
        {**owner, "reference_id": reference_id, "model_id": embedding.model_id, "photo_count": photo_count},
        receipt_id=grant.receipt_id,
    )
    return reference_id


def refuse_second_reference() -> NoReturn:
    """Refuse a second reference of one model under one consent.

    Raises:
        RefusedError: always.
    """
    raise RefusedError(
        "this consent already has a reference of this model; withdraw, and give consent anew to enroll again"
    )


def require_live(tx: Transaction, grant: ConsentGrant) -> None:
    """Ask again, inside the transaction, whether the consent is in force and the person may be enrolled.

    Raises:
        NoLiveConsentError: it ended since the grant was made.
        RefusedError: collecting is stopped.
    """
    until = Ledger(tx.connection).live_until(grant.receipt_id, grant.subject_id, grant.purpose)
    receipt = stored_receipt(tx.connection, grant.receipt_id)
    if until is None or until <= tx.now or receipt is None:
        raise NoLiveConsentError(_GONE)
    refuse_if_stopped(tx.connection, receipt.verified().claims.jurisdiction, grant.purpose)


def live_candidates(
    connection: Connection | Glance,
    purpose: Purpose,
    model_id: ModelId,
    candidates: Iterable[ReferenceId],
    now: datetime,
) -> dict[ReferenceId, SealedReference]:
    """Return, of the candidates that an index proposes, those that have a consent in force for this purpose now.

    Where the person holds the key there are none, whatever an index proposes.
    """
    rows = _CANDIDATES.rows(
        connection,
        {
            "purpose": purpose,
            "model_id": model_id,
            "now": format_time(now),
            "active_since": format_time(now - timedelta(days=INACTIVE_AFTER_DAYS)),
            "ids": listed(int(one) for one in candidates),
        },
    )
    return {ReferenceId(row[0]): _sealed(*row) for row in rows}


def references_of(connection: Connection, receipt_id: ReceiptId) -> list[SealedReference]:
    """Return the references of one consent, of every model."""
    return references_of_all(connection, [receipt_id])


def references_of_all(connection: Connection, receipt_ids: Iterable[ReceiptId]) -> list[SealedReference]:
    """Return the references of many consents, of every model."""
    wanted = _reference.receipt_id.in_(list(receipt_ids))
    return [_sealed(*row) for row in connection.execute(_SEALED.where(wanted).order_by(_reference.reference_id))]


def references_in(
    connection: Connection, purpose: Purpose, model_id: ModelId, wanted: Iterable[ReferenceId]
) -> Iterator[SealedReference]:
    """Yield references by id, for a gallery to be built from, in batches of 500; none where they hold the key."""
    ids = [int(reference_id) for reference_id in wanted]
    query = _SEALED.where(
        _BY_OPERATOR,
        _reference.purpose == purpose,
        _reference.model_id == model_id,
        _reference.reference_id.in_(bindparam("ids", expanding=True)),
    ).order_by(_reference.reference_id)
    for start in range(0, len(ids), _BATCH):
        for row in connection.execute(query, {"ids": ids[start : start + _BATCH]}):
            yield _sealed(*row)


def reference_ids(connection: Connection, purpose: Purpose, model_id: ModelId, after: int = 0) -> set[ReferenceId]:
    """Return the ids of all references of a purpose and model to search in; none where the person holds the key.

    Ids are given once and grow, so those `after` one are those that were enrolled later.
    """
    values = {"purpose": purpose, "model_id": model_id, "after": int(after)}
    return {ReferenceId(row) for (row,) in _IDS.rows(connection, values)}


def count_up_to(connection: Connection, purpose: Purpose, model_id: ModelId, newest: int) -> int:
    """Return how many of a purpose and model there are still that were enrolled no later than a reference."""
    values = {"purpose": purpose, "model_id": model_id, "newest": int(newest)}
    ((count,),) = _COUNT.rows(connection, values)
    return int(count)


def has_reference(connection: Connection, receipt_id: ReceiptId, model_id: ModelId) -> bool:
    """Tell whether a consent has a reference of a model."""
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
_SEALED: Final[Select[*tuple[Any, ...]]] = (
    select(
        _reference.reference_id,
        _reference.model_id,
        _reference.sealed_embedding,
        _live.c.receipt_id,
        _live.c.subject_id,
        _live.c.purpose,
        _live.c.expires_at,
        _receipt.c.subject_key,
        _receipt.c.token,
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
    .outerjoin(_zone, _zone.c.purpose == _reference.purpose)  # of a row moved to no zone the seal will tell
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
_CANDIDATES: Final = PreparedQuery(
    _SEALED.where(
        _BY_OPERATOR,
        among(_reference.reference_id, "ids"),
        _OF_GALLERY,
        _live.c.expires_at > bindparam("now"),
        exists().where(
            tables.last_interaction.c.receipt_id == _live.c.receipt_id,
            tables.last_interaction.c.interacted_at > bindparam("active_since"),
        ),
    )
)


def _sealed(  # noqa: PLR0913, PLR0917  the columns of `_SEALED`, in their order
    reference_id: int,
    model_id: str,
    box: bytes,
    receipt_id: str,
    subject_id: str,
    purpose: str,
    expires_at: datetime | str,
    subject_key: bytes,
    token: str,
    custody: str | None,
) -> SealedReference:
    receipt = StoredReceipt(ReceiptId(receipt_id), DataSubjectId(subject_id), Purpose(purpose), subject_key, token)
    ends = parse_time(expires_at) if isinstance(expires_at, str) else expires_at
    held_by = Custody(custody or Custody.OPERATOR)
    return SealedReference(ReferenceId(reference_id), ModelId(model_id), box, ends, receipt, held_by)
