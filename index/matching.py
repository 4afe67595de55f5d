"""Matching: the index proposes, the store decides; the exact score and the person's own signature settle it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias, final

import numpy as np

from volens.consent import (
    ConsentGrant,
    InputError,
    ModelId,
    NoLiveConsentError,
    Purpose,
    ReceiptId,
    ReferenceId,
    SecondFactor,
    ShownFactor,
    TamperError,
    check_kind,
)
from volens.consent.embedding import FloatArray, ProbeEmbedding
from volens.index.claims import PersonalToken, claimed_references
from volens.index.factor_gate import enforce_factor
from volens.index.gallery import Galleries, Proposals
from volens.index.match import Decision, Match
from volens.index.projection import distance_bound, estimate_deviation
from volens.index.reference_opener import ReferenceOpener, opened
from volens.index.timing import StageTimer, no_timing
from volens.store import ReadSnapshot, Store
from volens.store.people import SealedReference, authenticate_consents, live_candidates
from volens.store.people.consents import AuthenticConsent
from volens.store.people.second_factors import required_factor
from volens.store.promises import zone_of

Threshold: TypeAlias = float | Callable[[int], float]
"""Lowest comparison score that matches, or a function that returns it for the size of the gallery."""

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

_OPENED_TOGETHER: Final = 8


def identify(
    store: Store,
    galleries: Galleries,
    probe: ProbeEmbedding,
    threshold: Threshold,
    now: datetime,
    factor: ShownFactor | None = None,
) -> Decision:
    """Return the reference most similar to a probe, if it reaches the threshold (1:N, open-set identification).

    1. Take from the gallery of this purpose and model, and of no other, the sketches that are so near that they may
       reach the threshold: one scan, and an estimate of the score for each that it proposes.
    2. Keep the candidates that have a consent in force for this purpose now: one query for eight.
    3. Open their sealed embeddings, the highest estimate first, under their own keys; stop where the estimate says
       that no later one can reach the best score so far, or the threshold.
    4. Compare exactly; below the threshold there is no match.
    5. Verify the winner's rows (`authenticate_consents`) and receipt: signature, site, zone, person, term.
    6. In a zone that requires a second factor, a match stays only with the factor of that person (`factor_gate`). What
       the zone requires is read from the store here, so that no caller can leave it out.

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
    """Do for each of several probes of one zone and model what `identify` does, in one snapshot and with one scan.

    A factor belongs to one person: of the probes it lets one person match. The stages are ``scan`` (1), ``compare`` (2
    to 4), ``signature`` (5) and, if the zone requires one, ``factor`` (6).

    Raises:
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
    with store.read_prepared() as snapshot, ReferenceOpener(store) as opener:
        required = required_factor(snapshot, purpose)
        check_kind(required, factor)
        # 1.
        with timer("scan"):
            gallery = galleries.at(snapshot, purpose, model_id, dimension)
            least = threshold(len(gallery)) if callable(threshold) else threshold
            bits = gallery.projection.bits
            distance = max(0, math.floor(distance_bound(least, bits, SCAN_DEVIATIONS)))
            vectors = [probe.vector.array for probe in probes]
            proposed = gallery.propose(vectors, distance, _least_estimate(least, bits))
        # 2. to 4.
        with timer("compare"):
            candidates = _CandidateList(snapshot, opener, purpose, model_id, now)
            candidates.fetch(ReferenceId(one) for found in proposed for one in found.ids[:_OPENED_TOGETHER].tolist())
            searches = [
                _search(candidates, vector, found, least, bits) for vector, found in zip(vectors, proposed, strict=True)
            ]
        # 5.
        with timer("signature"):
            winners = [winner.receipt.receipt_id for winner, _score, _opened in searches if winner is not None]
            authentic = authenticate_consents(snapshot, winners)
            decisions = [_decision(store, authentic, search, least, purpose, now) for search in searches]
    # 6.
    if required is SecondFactor.NONE:
        return decisions
    with timer("factor"):
        return enforce_factor(store, purpose, required, decisions, factor)


def verify_claim(
    store: Store,
    grant: ConsentGrant,
    probe: ProbeEmbedding,
    threshold: float,
    carried: PersonalToken = None,
    factor: ShownFactor | None = None,
) -> Decision:
    """Compare a probe with the one reference of a consent in force (1:1); see `identify` for the arguments.

    A receipt is a claim, not a second factor: a zone that requires one requires it here too, as in step 6 of
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
        score = _score(vector.array, probe.vector.array)
        if score < threshold:
            return Decision(None, threshold, 1)
        _check_winner(store, reference, grant.purpose, grant.checked_at)
        found = Decision(_match(reference, score), threshold, 1)
        (decision,) = enforce_factor(store, grant.purpose, zone.second_factor, [found], factor)
        return decision
    raise NoLiveConsentError("no reference is enrolled under this consent; enroll the person first")


@final
@dataclass(slots=True, eq=False)
class _CandidateList:
    """The candidates that were fetched (`live`; None without a consent in force), with the secrets that open them."""

    snapshot: ReadSnapshot
    opener: ReferenceOpener
    purpose: Purpose
    model_id: ModelId
    now: datetime
    live: dict[ReferenceId, SealedReference | None] = field(default_factory=dict)

    def fetch(self, ids: Iterable[ReferenceId]) -> None:
        """Query consent and sealed rows of those not fetched yet, with one query, and unwrap their secrets."""
        wanted = [one for one in dict.fromkeys(ids) if one not in self.live]
        if not wanted:
            return
        live = live_candidates(self.snapshot, self.purpose, self.model_id, wanted, self.now)
        self.live.update((one, live.get(one)) for one in wanted)
        self.opener.fetch(live.values())


_Found: TypeAlias = tuple[SealedReference | None, float, int]
"""The winner of a search, its comparison score, and how many sealed embeddings were opened."""


def _search(candidates: _CandidateList, probe: FloatArray, proposals: Proposals, threshold: float, bits: int) -> _Found:
    """Do steps 2 to 4 of `identify` for one probe: compare, the highest estimate first, until no later one can win."""
    winner, best, sealed_opened = None, threshold, 0
    ids, estimates = [ReferenceId(one) for one in proposals.ids.tolist()], proposals.estimates.tolist()
    for number, (reference_id, estimate) in enumerate(zip(ids, estimates, strict=True)):
        if estimate < _least_estimate(best, bits):
            break
        if not number % _OPENED_TOGETHER:
            candidates.fetch(ids[number : number + _OPENED_TOGETHER])
        reference = candidates.live[reference_id]
        if reference is None:
            continue
        with candidates.opener.opened(reference) as vector:
            if vector is None:
                continue
            sealed_opened += 1
            score = _score(vector.array, probe)
        if score >= best:
            winner, best = reference, score
    return winner, best, sealed_opened


def _least_estimate(score: float, bits: int) -> float:
    """Return the lowest estimate that a reference of this comparison score is expected to have."""
    return score - ESTIMATE_DEVIATIONS * estimate_deviation(score, bits)


def _decision(
    store: Store,
    authentic: Mapping[ReceiptId, AuthenticConsent],
    found: _Found,
    threshold: float,
    purpose: Purpose,
    now: datetime,
) -> Decision:
    winner, score, sealed_opened = found
    if winner is None:
        return Decision(None, threshold, sealed_opened)
    consent = authentic.get(winner.receipt.receipt_id)
    if consent is None or consent.ends_at <= now:
        raise TamperError("integrity: the matched person's consent is not in force by its verified rows")
    _check_winner(store, winner, purpose, now)
    return Decision(_match(winner, score), threshold, sealed_opened)


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
