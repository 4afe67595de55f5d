"""Counts the comparison scores of single photos, at enrollment: the measurement behind `volens calibrate`.

A reference is the mean of several photos, and resembles other people more than one photo does. So the error rates of a
door, which sees one photo at a time, are measured with single photos, and those exist only during an enrollment.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from volens.consent import ConsentGrant, Custody, UnitVector
from volens.consent.embedding import FloatArray
from volens.enroll.placement import ReferencePlacement
from volens.face.embedder import EmbeddingModel
from volens.index import Installation, opened
from volens.store.people import SealedReference, live_candidates
from volens.store.people.score_counts import ScoreCounts

MOST_COMPARED: Final = 500
"""With how many references of other people a new person's photos are compared; docs/adr/0071 has the cost."""

_BATCH: Final = 100

Count: TypeAlias = Callable[[Sequence[UnitVector]], None]
"""Takes the embeddings of the single photos of one person, and keeps none of them."""


def count_into(
    counts: ScoreCounts, installation: Installation, placement: ReferencePlacement, model: EmbeddingModel
) -> Count:
    """Return a function that counts the scores of a person's photos; where people hold the key, it counts nothing.

    1. Each photo is compared with the references of other people of the zone whose consent is in force and neither
       restricted nor stopped: with all, or with `MOST_COMPARED` that are spread evenly over the order of enrollment.
       Each is opened for this and wiped, one after the other.
    2. Each photo is compared with the mean of the person's other photos; one photo alone with nothing.

    The function raises TamperError if a reference does not open.
    """

    def count(photos: Sequence[UnitVector]) -> None:
        if placement.zone.custody is not Custody.OPERATOR:
            return
        stack = np.stack([photo.array for photo in photos])
        try:
            # 1.
            for reference in _compared(installation, placement.grant, model):
                for _, vector in opened(installation.store, reference):
                    # Not a product of matrices: a BLAS copies them into a buffer of its own and does not clear it.
                    counts.add(counts.others, np.einsum("id,d->i", stack, vector.array))
            # 2.
            counts.add(counts.own, own_scores(stack))
        finally:
            stack.fill(0)

    return count


def own_scores(photos: FloatArray) -> FloatArray:
    """Return the score of each photo, float32 (n, d), with the mean of the others; none for a single photo."""
    if len(photos) < 2:  # noqa: PLR2004  the least that can be compared
        return np.empty(0, dtype=np.float32)
    total = photos.sum(axis=0)
    others = total - photos
    try:
        total.fill(0)  # it has the direction of the reference
        others /= np.linalg.norm(others, axis=1, keepdims=True)
        return np.asarray(np.einsum("id,id->i", photos, others), dtype=np.float32)
    finally:
        others.fill(0)


def _compared(
    installation: Installation, grant: ConsentGrant, model: EmbeddingModel
) -> Sequence[Sequence[SealedReference]]:
    """Return the references of other people to compare with, sealed, in batches."""
    store = installation.store
    with store.read() as connection:
        gallery = installation.galleries.of(connection, grant.purpose, model.model_id, model.dimension)
        ids = sorted(gallery.engine.held())
        if len(ids) > MOST_COMPARED:
            ids = [ids[place * len(ids) // MOST_COMPARED] for place in range(MOST_COMPARED)]
        live = live_candidates(connection, grant.purpose, model.model_id, ids, store.now())
    found = [
        one
        for one in live.values()
        if one.receipt.subject_id != grant.subject_id
        and one.receipt.receipt_id not in store.stopped
        and one.receipt.receipt_id not in store.paused
    ]
    return [found[start : start + _BATCH] for start in range(0, len(found), _BATCH)]
