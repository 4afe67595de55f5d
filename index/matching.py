"""Matching: the index proposes, the store decides; the exact score and the person's own signature settle it."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import numpy as np

from volens.consent import (
    ConsentGrant,
    InputError,
    NoLiveConsentError,
    ReferenceId,
    SecondFactor,
    ShownFactor,
    check_kind,
)
from volens.consent.embedding import FloatArray, ProbeEmbedding
from volens.consent.errors import ConsentRestrictedError
from volens.index.candidate_gate import CandidateGate
from volens.index.claims import PersonalToken, claimed_references
from volens.index.factor_gate import enforce_factor
from volens.index.gallery import Galleries, Gallery
from volens.index.hot_row import HotFacts
from volens.index.match import Decision, Match
from volens.index.projection import distance_bound, estimate_deviation
from volens.index.reference_opener import opened
from volens.index.search_engine import Proposals
from volens.index.timing import StageTimer, no_timing
from volens.store import Store
from volens.store.people.consents import other_receipt
from volens.store.people.restrictions import is_restricted
from volens.store.promises import zone_of

Threshold: TypeAlias = float | Callable[[Gallery], float]
"""Lowest comparison score that matches, or a function that returns it for a gallery: for its size and its zone."""

SCAN_DEVIATIONS: Final = 2.5
"""How far above its expected sketch distance a reference is still proposed; see `distance_bound`.

Of references of exactly the threshold's score 6 in 1000 are missed, and far fewer of a higher one: 5 in 100,000 at 0.1
more. A wider scan costs time at every probe, most of all at a million references.
"""

ESTIMATE_DEVIATIONS: Final = 2.25
"""How far below its score the estimate of a reference may be for it still to be opened; see `estimate_deviation`.

Of references of exactly the threshold's score 12 in 1000 are missed, and fewer than 1 in a million at 0.1 more. The
number of needlessly opened references grows with it: of a million strangers whose scores spread by 0.066, three
at 2.25, a hundred at 4.
"""

_PREFETCHED: Final = 8


def identify(
    store: Store,
    galleries: Galleries,
    probe: ProbeEmbedding,
    threshold: Threshold,
    now: datetime,
    factor: ShownFactor | None = None,
) -> Decision:
    """Return the reference most similar to a probe, if it reaches the threshold (1:N, open-set identification).

    1. Read the store's generation: if anything was committed since, gallery and hot set are levelled first. If a
       candidate's consent turns out to have ended meanwhile, everything is done once more: it may have been renewed.
    2. Take from the gallery of this purpose and model, and of no other, the sketches that are so near that they may
       reach the threshold: one scan, and an estimate of the score for each that it proposes.
    3. Keep the candidates that have a consent in force for this purpose now, from the hot set (`CandidateGate`).
    4. Open their sealed embeddings, the highest estimate first, under their own keys; stop where the estimate says
       that no later one can reach the best score so far, or the threshold.
    5. Compare exactly; below the threshold there is no match.
    6. Check the winner's receipt: signature, site, zone, person, term.
    7. In a zone that requires a second factor, a match stays only with the factor of that person (`factor_gate`). What
       the zone requires comes from the store, so that no caller can leave it out.

    The threshold is a cosine similarity, -1 to 1, higher is closer; `now` is the aware time at which consent must be in
    force. Probe and factor are read, never written; the caller wipes them.

    Raises:
        InputError: `factor` is not the kind that the zone requires.
        TamperError: a candidate's seal, the winner's rows or receipt, or the rows of the zone do not verify. No match
            is returned then.

    Not checked: whether the probe shows a live face. A reference of exactly the threshold's score is missed with a
    probability of 2 in 100, of 0.1 more with 5 in 100,000 (`SCAN_DEVIATIONS`, `ESTIMATE_DEVIATIONS`).
    Source: ISO/IEC 19795-1 (open-set identification).
    """
    (decision,) = identify_many(store, galleries, [probe], threshold, now, factor)
    return decision


def identify_many(
    store: Store,
    galleries: Galleries,
    probes: Sequence[ProbeEmbedding],
    threshold: Threshold,
    now: datetime,
    factor: ShownFactor | None = None,
    timer: StageTimer = no_timing,
) -> list[Decision]:
    """Do for each of several probes of one zone and model what `identify` does, at one generation and with one scan.

    A factor belongs to one person: of the probes it lets one person match. The stages are ``scan`` (2), ``compare`` (3
    to 5), ``signature`` (6) and, if the zone requires one, ``factor`` (7).

    Raises:
        ZonePausedError: the operator paused the zone.
        InputError: the probes are of different zones or models, or the factor is not the kind that the zone requires.
        TamperError: see `identify`. None of the probes matches then.
    """
    if not probes:
        return []
    purpose, model_id, dimension = probes[0].permit.purpose, probes[0].model_id, probes[0].vector.dimension
    if any(
        (one.permit.purpose, one.model_id, one.vector.dimension) != (purpose, model_id, dimension) for one in probes
    ):
        raise InputError("got probes of different zones or models; expected a batch of one zone and one model")
    # 1.
    gallery = galleries.at(purpose, model_id, dimension)
    check_kind(gallery.zone.second_factor, factor)
    as_of = gallery.generation
    decisions, has_ended = _decide(store, gallery, probes, threshold, now, timer)
    if has_ended and store.generation() > as_of:
        gallery = galleries.at(purpose, model_id, dimension)
        check_kind(gallery.zone.second_factor, factor)
        decisions, _ = _decide(store, gallery, probes, threshold, now, timer)
    # 7.
    if gallery.zone.second_factor is SecondFactor.NONE:
        return decisions
    with timer("factor"):
        return enforce_factor(store, purpose, gallery.zone.second_factor, decisions, factor)


def _decide(
    store: Store,
    gallery: Gallery,
    probes: Sequence[ProbeEmbedding],
    threshold: Threshold,
    now: datetime,
    timer: StageTimer,
) -> tuple[list[Decision], bool]:
    """Do steps 2 to 6 of `identify`; also return whether a candidate had no consent in force any more."""
    with gallery.hot.borrowed_row() as row:
        # 2.
        with timer("scan"):
            least = threshold(gallery) if callable(threshold) else threshold
            bits = gallery.projection.bits
            distance = max(0, math.floor(distance_bound(least, bits, SCAN_DEVIATIONS)))
            vectors = [probe.vector.array for probe in probes]
            proposed = gallery.propose(vectors, distance, _least_estimate(least, bits))
        # 3. to 5.
        with timer("compare"):
            gate = CandidateGate(store, gallery, row, now)
            gate.prefetch(ReferenceId(one) for found in proposed for one in found.ids[:_PREFETCHED].tolist())
            searches = [
                _search(gate, vector, found, least, bits) for vector, found in zip(vectors, proposed, strict=True)
            ]
        # 6.
        with timer("signature"):
            return [_decision(gate, search, least) for search in searches], gate.has_refused


def verify_claim(
    store: Store,
    grant: ConsentGrant,
    probe: ProbeEmbedding,
    threshold: float,
    carried: PersonalToken = None,
    factor: ShownFactor | None = None,
) -> Decision:
    """Compare a probe with the one reference of a consent in force (1:1); see `identify` for the arguments.

    A receipt is a claim, not a second factor: a zone that requires one requires it here too, as in step 7 of
    `identify`. `carried` is the secret or badge that the person presents besides the receipt (`volens.index.claims`);
    with a badge, the reference is not in the store.

    Raises:
        NoLiveConsentError: this consent has no reference of the probe's model.
        InputError, RefusedError: `carried` or `factor` is not the kind that the zone requires, or another person's.
        TamperError: the seal or the receipt does not verify.
    """
    if probe.permit.purpose != grant.purpose:
        raise InputError(f"got a probe for zone {probe.permit.purpose!r}; expected one for {grant.purpose!r}")
    with store.read() as connection:
        zone = zone_of(connection, grant.purpose)
        check_kind(zone.second_factor, factor)
        claimed, person = claimed_references(store, connection, zone, grant, carried)
    references = [reference for reference in claimed if reference.model_id == probe.model_id]
    for reference, vector in opened(store, references, person):
        score = float(np.dot(vector.array, probe.vector.array))
        if score < threshold:
            return Decision(None, threshold, 1)
        owner = reference.receipt
        if owner.verified_until(store.site.controller.site_id, grant.purpose) <= grant.checked_at:
            raise other_receipt()
        if owner.receipt_id in store.stopped:
            break
        with store.read_prepared() as snapshot:
            if owner.receipt_id in store.paused or is_restricted(snapshot, owner.receipt_id):
                raise ConsentRestrictedError("the person has paused this consent meanwhile; nothing is matched")
        store.generation()  # raises if the log is shorter than known: then this consent may have ended
        match = Match(reference.reference_id, owner.receipt_id, owner.subject_id, score)
        found = Decision(match, threshold, 1)
        (decision,) = enforce_factor(store, grant.purpose, zone.second_factor, [found], factor)
        return decision
    raise NoLiveConsentError("no reference is enrolled under this consent; enroll the person first")


_Found: TypeAlias = tuple[HotFacts | None, float, int]
"""The winner of a search, its comparison score, and how many sealed embeddings were opened."""


def _search(gate: CandidateGate, probe: FloatArray, proposals: Proposals, threshold: float, bits: int) -> _Found:
    """Do steps 3 to 5 of `identify` for one probe: compare, the highest estimate first, until no later one can win."""
    winner, best, opened_before = None, threshold, gate.opened
    for number, estimate in zip(proposals.ids.tolist(), proposals.estimates.tolist(), strict=True):
        if estimate < _least_estimate(best, bits):
            break
        compared = gate.score(ReferenceId(number), probe)
        if compared is not None and compared[0] >= best:
            best, winner = compared
    return winner, best, gate.opened - opened_before


def _least_estimate(score: float, bits: int) -> float:
    """Return the lowest estimate that a reference of this comparison score is expected to have."""
    return score - ESTIMATE_DEVIATIONS * estimate_deviation(score, bits)


def _decision(gate: CandidateGate, found: _Found, threshold: float) -> Decision:
    winner, score, sealed_opened = found
    if winner is None or not gate.is_verified(winner):
        return Decision(None, threshold, sealed_opened)
    match = Match(winner.reference_id, winner.receipt_id, winner.subject_id, score)
    return Decision(match, threshold, sealed_opened)
