"""Matching: the index proposes, the store decides, the exact score and the person's own signature settle it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
from index.projection import distance_bound
from store import SealedReference, Store, live_candidates

FIRST_CANDIDATES: Final = 16
"""Length of the first shortlist; it is widened fourfold while its last candidate could still win."""

WIDENING: Final = 4

DEVIATIONS: Final = 4.0
"""How far above its expected sketch distance a reference is still looked at; see `index.projection.distance_bound`."""


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
    3. Open their sealed embeddings nearest first, under their own keys; stop where the sketch distance says that no
       later one can reach the best score so far, or the threshold. Widen the shortlist while its end could still win.
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
    probability of about 3 in 100,000 (`DEVIATIONS`).
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
        bits, seen, k = gallery.projection.bits, set[int](), FIRST_CANDIDATES
        while True:
            proposals = gallery.shortlist(self._probe.vector.array, k)
            ids, distances = proposals.ids.tolist(), proposals.distances.tolist()
            fresh = {
                ReferenceId(one): distance for one, distance in zip(ids, distances, strict=True) if one not in seen
            }
            self._look_at(fresh, bits)
            if len(ids) < k or distances[-1] > distance_bound(self.best, bits, DEVIATIONS):
                return
            seen.update(ids)
            k *= WIDENING

    def _look_at(self, proposals: Mapping[ReferenceId, int], bits: int) -> None:
        def may_win(reference: SealedReference) -> bool:
            return proposals[reference.reference_id] <= distance_bound(self.best, bits, DEVIATIONS)

        bound = distance_bound(self.best, bits, DEVIATIONS)
        near = [one for one, distance in proposals.items() if distance <= bound]
        if not near:
            return
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
