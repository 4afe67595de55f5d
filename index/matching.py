"""Matching: the index proposes, the store decides, the exact score and the person's own signature settle it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist
from typing import Final, final

import numpy as np
from sqlalchemy import Connection

from consent import (
    ConsentGrant,
    DataSubjectId,
    FloatArray,
    InputError,
    NoLiveConsentError,
    ProbeEmbedding,
    Purpose,
    ReceiptId,
    ReferenceId,
    TamperError,
)
from index.claims import Carried, claimed_references
from index.gallery import Galleries, Gallery
from index.opening import opened
from index.projection import distance_bound, estimate_deviation
from store import SealedReference, Store, live_candidates

FIRST_CANDIDATES: Final = 32
"""Least length of a shortlist; it is as long as the strangers' share of the gallery asks for (`shortlist_length`)."""

WIDENING: Final = 4

SCAN_DEVIATIONS: Final = 2.5
"""How far above its expected sketch distance a reference is still put on the shortlist; see `distance_bound`.

Of references of exactly the threshold's score 6 in 1000 are missed, and far fewer of a higher one: 5 in 100,000 at 0.1
more. A longer shortlist costs time at every probe, most of all at a million references.
"""

_OPENED_TOGETHER: Final = 16

ESTIMATE_DEVIATIONS: Final = 4.0
"""How far below its comparison score a reference's estimate may be, for it still to be opened: misses 3 in 100,000."""


@final
@dataclass(frozen=True, slots=True)
class Match:
    """Whom a probe was identified as, or confirmed to be."""

    reference_id: ReferenceId
    receipt_id: ReceiptId
    subject_id: DataSubjectId
    comparison_score: float


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one probe.

    Attributes:
        match: None means "no one here", not failure.
        threshold: the lowest comparison score (cosine similarity, -1 to 1) that would have matched.
        sealed_opened: how many sealed embeddings were opened to decide.
    """

    match: Match | None
    threshold: float
    sealed_opened: int


def identify(store: Store, galleries: Galleries, probe: ProbeEmbedding, threshold: float, now: datetime) -> Decision:
    """Return the reference most similar to a probe, if it reaches the threshold (1:N, open-set identification).

    1. Take a shortlist from the gallery of this purpose and model, and of no other.
    2. Keep the candidates that have a consent in force for this purpose now: one query.
    3. Open their sealed embeddings, the highest estimate first, under their own keys; stop where the estimate says
       that no later one can reach the best score so far, or the threshold. Widen the shortlist while its end could win.
    4. Compare exactly; below the threshold there is no match.
    5. Verify the winner's receipt: signature, site, zone, person, term.

    Args:
        store: decides.
        galleries: propose.
        probe: float32 (d,), unit norm; read, never written. The caller wipes it.
        threshold: lowest comparison score that matches; cosine similarity, -1 to 1, higher is closer.
        now: aware time at which consent must be in force.

    Raises:
        TamperError: a candidate's seal or the winner's receipt does not hold. Nobody is matched past it.

    Not checked: whether the probe shows a live face. A reference of exactly the threshold's score is missed with a
    probability of 6 in 1000, of 0.1 more with 5 in 100,000 (`SCAN_DEVIATIONS`).
    Source: ISO/IEC 19795-1 (open-set identification).
    """
    purpose = probe.permit.purpose
    with store.read() as connection:
        # 1. to 4.
        search = _Search(store, connection, probe, threshold, now)
        search.run(galleries.of(connection, purpose, probe.model_id, probe.vector.dimension))
    if search.winner is None:
        return Decision(None, threshold, search.sealed_opened)
    # 5.
    _check_winner(store, search.winner, purpose, now)
    return Decision(_match(search.winner, search.best), threshold, search.sealed_opened)


def verify_claim(
    store: Store, grant: ConsentGrant, probe: ProbeEmbedding, threshold: float, carried: Carried = None
) -> Decision:
    """Compare a probe with the one reference of a consent in force (1:1).

    Args:
        store: holds the reference, unless the person carries it.
        grant: of the person that the probe is claimed to be.
        probe: read, never written. The caller wipes it.
        threshold: lowest comparison score that matches; cosine similarity, -1 to 1, higher is closer.
        carried: what the person shows besides the receipt; see `index.claims`.

    Raises:
        NoLiveConsentError: this consent has no reference of the probe's model.
        InputError, RefusedError: what the person shows is not what the zone's custody asks for, or another's.
        TamperError: the seal or the receipt does not hold.
    """
    if probe.permit.purpose != grant.purpose:
        raise InputError(f"got a probe for zone {probe.permit.purpose!r}; expected one for {grant.purpose!r}")
    with store.read() as connection:
        claimed, person = claimed_references(store, connection, grant, carried)
    references = [reference for reference in claimed if reference.model_id == probe.model_id]
    for reference, vector in opened(store, references, person=person):
        score = _score(vector.array, probe.vector.array)
        if score < threshold:
            return Decision(None, threshold, 1)
        _check_winner(store, reference, grant.purpose, grant.checked_at)
        return Decision(_match(reference, score), threshold, 1)
    raise NoLiveConsentError("nobody is enrolled under this consent; enroll the person first")


def shortlist_length(size: int, bits: int, threshold: float) -> int:
    """Return how many candidates to ask a gallery for, so that one scan will do where faces are spread evenly.

    The sketch of a stranger differs from the probe's in half of the bits, as coins do; so many of `size` are expected
    within the distance at which a reference of the threshold's score may be, and half as many more are asked for.
    Real faces are not spread evenly; then the shortlist is widened.
    """
    bound = distance_bound(threshold, bits, SCAN_DEVIATIONS)
    strangers = size * NormalDist(bits / 2, math.sqrt(bits) / 2).cdf(bound)
    return min(size + 1, max(FIRST_CANDIDATES, math.ceil(1.5 * strangers)))


@final
class _Search:
    """Steps 1 to 4 of `identify`."""

    def __init__(
        self, store: Store, connection: Connection, probe: ProbeEmbedding, threshold: float, now: datetime
    ) -> None:
        self._store = store
        self._connection = connection
        self._probe = probe
        self._now = now
        self.best = threshold
        self.winner: SealedReference | None = None
        self.sealed_opened = 0

    def run(self, gallery: Gallery) -> None:
        """Look at proposals until no further one could win."""
        bits, seen, size = gallery.projection.bits, set[ReferenceId](), len(gallery)
        k = shortlist_length(size, bits, self.best)
        while True:
            proposals = gallery.propose(self._probe.vector.array, k)
            ids = [ReferenceId(one) for one in proposals.ids.tolist()]
            estimates = dict(zip(ids, proposals.estimates.tolist(), strict=True))
            self._look_at({one: estimates[one] for one in ids if one not in seen}, bits)
            if len(ids) < k or proposals.farthest > distance_bound(self.best, bits, SCAN_DEVIATIONS):
                return
            seen.update(ids)
            k *= WIDENING

    def _look_at(self, proposals: Mapping[ReferenceId, float], bits: int) -> None:
        """Open what may win, the highest estimate first, each chunk with one query for consent and sealed rows."""

        def least() -> float:
            return self.best - ESTIMATE_DEVIATIONS * estimate_deviation(self.best, bits)

        near = [one for one, estimate in proposals.items() if estimate >= least()]
        for start in range(0, len(near), _OPENED_TOGETHER):
            chunk = [one for one in near[start : start + _OPENED_TOGETHER] if proposals[one] >= least()]
            if not chunk:
                return
            self._open(chunk, lambda reference: proposals[reference.reference_id] >= least())

    def _open(self, near: Sequence[ReferenceId], may_win: Callable[[SealedReference], bool]) -> None:
        live = live_candidates(self._connection, self._probe.permit.purpose, self._probe.model_id, near, self._now)
        for reference, vector in opened(self._store, [live[one] for one in near if one in live], may_win):
            self.sealed_opened += 1
            score = _score(vector.array, self._probe.vector.array)
            if score >= self.best:
                self.best, self.winner = score, reference


def _score(reference: FloatArray, probe: FloatArray) -> float:
    """Return the cosine similarity of two unit vectors."""
    return float(np.dot(reference, probe))


def _match(reference: SealedReference, score: float) -> Match:
    owner = reference.receipt
    return Match(reference.reference_id, owner.receipt_id, owner.subject_id, score)


def _check_winner(store: Store, reference: SealedReference, purpose: Purpose, now: datetime) -> None:
    claims = reference.receipt.verified().claims
    site_id = store.site.controller.site_id
    if claims.site_id != site_id or claims.purpose != purpose or claims.expires_at <= now:
        raise TamperError(
            "integrity: the matched person's receipt is for another site, zone or time than its row says; restore the "
            "data file"
        )
