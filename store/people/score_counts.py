"""Counts of comparison scores (histograms), sealed under each consent: the data of `volens calibrate`.

They are made when a person is enrolled, while the single photos are still there: scores with references of other people
of the zone, and scores of each photo with the mean of the person's other photos. Only counts are kept, in bins of 0.01,
no score, no vector and no id of another person. They end with the consent, as every personal table.
"""

from dataclasses import dataclass
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, exists, insert, select

from volens.consent import ConsentGrant, DataSubjectId, ModelId, Purpose, ReceiptId
from volens.consent.embedding import FloatArray
from volens.store.keys import sealing
from volens.store.keys.secrets import GrantSecret, Random
from volens.store.people.consents import StoredReceipt
from volens.store.schema import data_tables as tables
from volens.store.schema.personal_tables import OWNER
from volens.store.transaction import Transaction

BINS: Final = 101
"""Bins of 0.01 from score 0 to 1; the first has the negative scores too, the last those of 1 and above."""

_KINDS: Final = 2
_BOX_BYTES: Final = _KINDS * BINS * 4
_table = tables.score_counts


@final
@dataclass(frozen=True, slots=True, eq=False)
class ScoreCounts:
    """Counts of comparison scores of one person's photos, uint32 (BINS,) each.

    Attributes:
        own: each photo with the mean of the person's other photos.
        others: each photo with references of other people of the zone.
    """

    own: NDArray[np.uint32]
    others: NDArray[np.uint32]

    @classmethod
    def none(cls) -> Self:
        """Return counts of no comparison."""
        return cls(np.zeros(BINS, dtype=np.uint32), np.zeros(BINS, dtype=np.uint32))

    def plus(self, more: Self) -> Self:
        """Return the counts of both together."""
        return type(self)(self.own + more.own, self.others + more.others)

    def add(self, counts: NDArray[np.uint32], scores: FloatArray | NDArray[np.float64]) -> None:
        """Count scores into `own` or `others`, whichever `counts` is."""
        bins = np.clip(np.floor(scores * (BINS - 1)), 0, BINS - 1).astype(np.int64)
        np.add.at(counts, bins, 1)

    def by_score(self) -> dict[str, dict[str, int]]:
        """Return the counts above 0 by the lower end of their bin, for the person."""
        return {
            kind: {f"{place / (BINS - 1):.2f}": int(count) for place, count in enumerate(counts) if count}
            for kind, counts in (("own", self.own), ("others", self.others))
        }

    def __bool__(self) -> bool:
        return bool(self.own.any() or self.others.any())


@final
@dataclass(frozen=True, slots=True)
class SealedScoreCounts:
    """The counts of one consent as stored, with the receipt that their key is derived from."""

    receipt: StoredReceipt
    model_id: ModelId
    box: bytes

    def open(self, secret: GrantSecret) -> ScoreCounts:
        """Open the counts.

        Raises:
            TamperError: they are another consent's or model's, or were changed.
        """
        its, plain = self.receipt, bytearray(_BOX_BYTES)
        with secret.counts_key(its.sha256, self.model_id) as key:
            sealing.open_into(
                self.box, key, _context(its.receipt_id, its.subject_id, its.purpose, self.model_id), plain
            )
        try:
            own, others = np.frombuffer(plain, dtype="<u4").reshape(_KINDS, BINS).astype(np.uint32)
            return ScoreCounts(own, others)
        finally:
            plain[:] = bytes(_BOX_BYTES)


def put_score_counts(
    tx: Transaction, grant: ConsentGrant, model_id: ModelId, counts: ScoreCounts, secret: GrantSecret
) -> None:
    """Seal counts of a consent, in the place of those that it has for this model; counts of nothing are not kept."""
    remove_score_counts(tx, grant.receipt_id, model_id)
    if counts:
        box = _sealed(grant, model_id, counts, secret, tx.random)
        owner = {name: getattr(grant, name) for name in OWNER}
        tx.connection.execute(insert(_table), {**owner, "model_id": model_id, "sealed_counts": box})


def remove_score_counts(tx: Transaction, receipt_id: ReceiptId, model_id: ModelId) -> None:
    """Delete the counts of a consent for one model, if it has any."""
    tx.connection.execute(delete(_table).where(_table.c.receipt_id == receipt_id, _table.c.model_id == model_id))


def score_counts_of(connection: Connection, receipt: StoredReceipt) -> list[SealedScoreCounts]:
    """Return the counts of one consent, of every model."""
    rows = connection.execute(select(_table).where(_table.c.receipt_id == receipt.receipt_id))
    return [SealedScoreCounts(receipt, ModelId(row.model_id), row.sealed_counts) for row in rows]


def score_counts_in(
    connection: Connection, purpose: Purpose, model_id: ModelId, at_most: int | None = None
) -> list[SealedScoreCounts]:
    """Return the counts of a zone for one model; those of restricted consents are left out (GDPR 18).

    With `at_most` only so many, always the same ones while nothing changes: ids of receipts are random.
    """
    receipt, its = tables.receipt.c, _table.c
    query = (
        select(receipt.receipt_id, receipt.subject_id, receipt.purpose, receipt.subject_key, receipt.token)
        .add_columns(its.sealed_counts)
        .join_from(_table, tables.receipt, receipt.receipt_id == its.receipt_id)
        .where(its.purpose == purpose, its.model_id == model_id)
        .where(~exists().where(tables.restriction.c.receipt_id == its.receipt_id))
        .order_by(its.receipt_id)
        .limit(at_most)
    )
    return [
        SealedScoreCounts(
            StoredReceipt(ReceiptId(receipt_id), DataSubjectId(subject_id), Purpose(of_zone), subject_key, token),
            model_id,
            box,
        )
        for receipt_id, subject_id, of_zone, subject_key, token, box in connection.execute(query)
    ]


def _sealed(grant: ConsentGrant, model_id: ModelId, counts: ScoreCounts, secret: GrantSecret, random: Random) -> bytes:
    plain = bytearray(np.stack([counts.own, counts.others]).astype("<u4").tobytes())
    try:
        with secret.counts_key(grant.receipt_sha256, model_id) as key:
            context = _context(grant.receipt_id, grant.subject_id, grant.purpose, model_id)
            return sealing.seal(plain, key, context, random)
    finally:
        plain[:] = bytes(len(plain))


def _context(receipt_id: ReceiptId, subject_id: DataSubjectId, purpose: Purpose, model_id: ModelId) -> bytes:
    return sealing.context("score counts", receipt_id, subject_id, purpose, model_id)
