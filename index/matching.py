"""Matching: the index proposes, the store decides, the exact score and the person's own signature settle it."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, final

import numpy as np

from volens.consent import (
    ConsentGrant,
    InputError,
    ModelId,
    NoLiveConsentError,
    Purpose,
    ReferenceId,
    SecondFactor,
    ShownFactor,
    TamperError,
    check_kind,
)
from volens.consent.embedding import FloatArray, ProbeEmbedding
from volens.index.claims import Carried, claimed_references
from volens.index.factor_gate import with_factor
from volens.index.gallery import Galleries, Proposals
from volens.index.match import Decision, Match
from volens.index.projection import distance_bound, estimate_deviation
from volens.index.reference_opener import Opener, opened
from volens.index.timing import Stages, untimed
from volens.store import Store
from volens.store.people import SealedReference, live_candidates
from volens.store.people.second_factors import factor_asked
from volens.store.sqlite import Glance

SCAN_DEVIATIONS: Final = 2.5
"""How far above its expected sketch distance a reference is still looked at; see `distance_bound`.

Of references of exactly the threshold's score 6 in 1000 are missed, and far fewer of a higher one: 5 in 100,000 at 0.1
more. A wider scan costs time at every probe, most of all at a million references.
"""

ESTIMATE_DEVIATIONS: Final = 2.25
"""How far below its score a reference's estimate may be, for it still to be opened; see `estimate_deviation`.

Of references of exactly the threshold's score 12 in 1000 are missed, and fewer than 1 in a million at 0.1 more. What is
opened in vain grows with it: of a million strangers whose scores spread by 0.066, three at 2.25, a hundred at 4.
"""

_OPENED_TOGETHER: Final = 8


def identify(
    store: Store,
    galleries: Galleries,
    probe: ProbeEmbedding,
    threshold: float,
    now: datetime,
    factor: ShownFactor | None = None,
) -> Decision:
    """Return the reference most similar to a probe, if it reaches the threshold (1:N, open-set identification).

    1. Take from the gallery of this purpose and model, and of no other, whose sketches are so near that they may reach
       the threshold: one scan, and an estimate of the score for each that it brings up.
    2. Keep the candidates that have a consent in force for this purpose now: one query for eight.
    3. Open their sealed embeddings, the highest estimate first, under their own keys; stop where the estimate says
       that no later one can reach the best score so far, or the threshold.
    4. Compare exactly; below the threshold there is no match.
    5. Verify the winner's receipt: signature, site, zone, person, term.
    6. In a zone that asks for a second factor, a match stays only with the factor of that person (`second_factor`).

    Args:
        store: decides.
        galleries: propose.
        probe: float32 (d,), unit norm; read, never written. The caller wipes it.
        threshold: lowest comparison score that matches; cosine similarity, -1 to 1, higher is closer.
        now: aware time at which consent must be in force.
        factor: what was shown besides the face; read, never written. The caller wipes it.

    Raises:
        InputError: `factor` is not what the zone asks for.
        TamperError: a candidate's seal or the winner's receipt does not hold. Nobody is matched past it.

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
    threshold: float,
    now: datetime,
    factor: ShownFactor | None = None,
    stages: Stages = untimed,
) -> list[Decision]:
    """Do for each of several probes of one zone and model what `identify` does, with one scan and two queries for all.

    A factor is one person's: of the probes it lets one person match. `stages` is told of ``scan`` (1), ``compare`` (2
    to 4), ``signature`` (5) and, where the zone asks for one, ``factor`` (6).

    Raises:
        InputError: the probes are of different zones or models, or the factor is not what the zone asks for.
        TamperError: see `identify`. Nobody of the batch is matched then.
    """
    if not probes:
        return []
    purpose, model_id, dimension = probes[0].permit.purpose, probes[0].model_id, probes[0].vector.dimension
    if any(
        (one.permit.purpose, one.model_id, one.vector.dimension) != (purpose, model_id, dimension) for one in probes
    ):
        raise InputError("got probes of different zones or models; expected a batch of one zone and one model")
    with store.glance() as glance, Opener(store) as opener:
        asked = factor_asked(glance, purpose)
        check_kind(asked, factor)
        # 1.
        with stages("scan"):
            gallery = galleries.at(glance, purpose, model_id, dimension)
            bits = gallery.projection.bits
            distance = max(0, math.floor(distance_bound(threshold, bits, SCAN_DEVIATIONS)))
            proposed = gallery.propose([probe.vector.array for probe in probes], distance, _least(threshold, bits))
        # 2. to 4.
        with stages("compare"):
            candidates = _Candidates(glance, opener, purpose, model_id, now)
            candidates.fetch(ReferenceId(one) for found in proposed for one in found.ids[:_OPENED_TOGETHER].tolist())
            searches = [_Search(candidates, probe, threshold, bits) for probe in probes]
            for search, found in zip(searches, proposed, strict=True):
                search.look_at(found)
    # 5.
    with stages("signature"):
        decisions = [_decision(store, search, threshold, purpose, now) for search in searches]
    # 6.
    if asked is SecondFactor.NONE:
        return decisions
    with stages("factor"):
        return with_factor(store, purpose, asked, decisions, factor)


def verify_claim(
    store: Store,
    grant: ConsentGrant,
    probe: ProbeEmbedding,
    threshold: float,
    carried: Carried = None,
    factor: ShownFactor | None = None,
) -> Decision:
    """Compare a probe with the one reference of a consent in force (1:1).

    A receipt says who somebody claims to be, and is no second factor: a zone that asks for one asks for it here too.

    Args:
        store: holds the reference, unless the person carries it.
        grant: of the person that the probe is claimed to be.
        probe: read, never written. The caller wipes it.
        threshold: lowest comparison score that matches; cosine similarity, -1 to 1, higher is closer.
        carried: what the person shows besides the receipt; see `volens.index.claims`.
        factor: what was shown besides the face; read, never written. The caller wipes it.

    Raises:
        NoLiveConsentError: this consent has no reference of the probe's model.
        InputError, RefusedError: what the person shows is not what the zone's custody asks for, or another's.
        TamperError: the seal or the receipt does not hold.
    """
    if probe.permit.purpose != grant.purpose:
        raise InputError(f"got a probe for zone {probe.permit.purpose!r}; expected one for {grant.purpose!r}")
    with store.read() as connection:
        asked = factor_asked(connection, grant.purpose)
        check_kind(asked, factor)
        claimed, person = claimed_references(store, connection, grant, carried)
    references = [reference for reference in claimed if reference.model_id == probe.model_id]
    for reference, vector in opened(store, references, person):
        score = _score(vector.array, probe.vector.array)
        if score < threshold:
            return Decision(None, threshold, 1)
        _check_winner(store, reference, grant.purpose, grant.checked_at)
        found = Decision(_match(reference, score), threshold, 1)
        (decision,) = with_factor(store, grant.purpose, asked, [found], factor)
        return decision
    raise NoLiveConsentError("nobody is enrolled under this consent; enroll the person first")


@final
class _Candidates:
    """References that may win, with their secrets: those that have a consent in force."""

    def __init__(self, glance: Glance, opener: Opener, purpose: Purpose, model_id: ModelId, now: datetime) -> None:
        self._glance = glance
        self._purpose = purpose
        self._model_id = model_id
        self._now = now
        self._live: dict[ReferenceId, SealedReference | None] = {}
        self.opener = opener

    def fetch(self, ids: Iterable[ReferenceId]) -> None:
        """Ask for consent and sealed rows of those not asked for yet, with one query, and for their secrets."""
        wanted = [one for one in dict.fromkeys(ids) if one not in self._live]
        if not wanted:
            return
        live = live_candidates(self._glance, self._purpose, self._model_id, wanted, self._now)
        self._live.update((one, live.get(one)) for one in wanted)
        self.opener.fetch(live.values())

    def __getitem__(self, reference_id: ReferenceId) -> SealedReference | None:
        """Return a reference that was fetched; None where no consent is in force."""
        return self._live[reference_id]


@final
class _Search:
    """Steps 2 to 4 of `identify` for one probe."""

    def __init__(self, candidates: _Candidates, probe: ProbeEmbedding, threshold: float, bits: int) -> None:
        self._candidates = candidates
        self._probe = probe
        self._bits = bits
        self.best = threshold
        self.winner: SealedReference | None = None
        self.sealed_opened = 0

    def look_at(self, proposals: Proposals) -> None:
        """Open what may win, the highest estimate first, until no later one may."""
        ids, estimates = [ReferenceId(one) for one in proposals.ids.tolist()], proposals.estimates.tolist()
        for number, (reference_id, estimate) in enumerate(zip(ids, estimates, strict=True)):
            if estimate < _least(self.best, self._bits):
                return
            if not number % _OPENED_TOGETHER:
                self._candidates.fetch(ids[number : number + _OPENED_TOGETHER])
            self._compare(reference_id)

    def _compare(self, reference_id: ReferenceId) -> None:
        reference = self._candidates[reference_id]
        if reference is None:
            return
        with self._candidates.opener.opened(reference) as vector:
            if vector is None:
                return
            self.sealed_opened += 1
            score = _score(vector.array, self._probe.vector.array)
        if score >= self.best:
            self.best, self.winner = score, reference


def _least(score: float, bits: int) -> float:
    """Return the lowest estimate that a reference of this comparison score may be expected to have."""
    return score - ESTIMATE_DEVIATIONS * estimate_deviation(score, bits)


def _decision(store: Store, search: _Search, threshold: float, purpose: Purpose, now: datetime) -> Decision:
    if search.winner is None:
        return Decision(None, threshold, search.sealed_opened)
    _check_winner(store, search.winner, purpose, now)
    return Decision(_match(search.winner, search.best), threshold, search.sealed_opened)


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
