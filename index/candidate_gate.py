"""The gate: what a proposed reference must pass before it counts, from the hot set, or from the store on a miss."""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Final, final

import numpy as np

from volens.consent import ReferenceId, UnavailableError
from volens.consent.embedding import FloatArray
from volens.index.gallery import Gallery
from volens.index.hot_row import HotFacts, HotRow
from volens.index.reference_opener import check_ended
from volens.store import Store
from volens.store.keys import Wrapped
from volens.store.log import log_size
from volens.store.people import SealedReference, authenticate_consents
from volens.store.people.consents import other_receipt
from volens.store.people.references import live_candidates
from volens.store.people.restrictions import is_restricted

_ATTEMPTS: Final = 3


@final
class CandidateGate:
    """Checks the candidates of one decision, at one moment.

    Attributes:
        opened: how many sealed embeddings were opened.
        has_refused: a candidate that the gallery proposed had no consent in force.
    """

    def __init__(self, store: Store, gallery: Gallery, row: HotRow, now: datetime) -> None:
        """Check against the consents in force at `now`; `row` is working memory that the caller wipes."""
        self.opened = 0
        self.has_refused = False
        self._store = store
        self._gallery = gallery
        self._as_of = gallery.generation
        self._hot = gallery.hot
        self._stopped = store.stopped
        self._paused = store.paused
        self._row = row
        self._now = now
        self._now_s = math.floor(now.timestamp())
        self._refused: set[ReferenceId] = set()

    def prefetch(self, ids: Iterable[ReferenceId]) -> None:
        """Read candidates that are not in the hot set from the store, with two queries for all of them."""
        missing = [one for one in dict.fromkeys(ids) if not self._is_here(one)]
        if missing:
            self._refused.update(set(missing) - self._load(missing).keys())

    def score(self, reference_id: ReferenceId, probe: FloatArray) -> tuple[float, HotFacts] | None:
        """Return the comparison score of a candidate with a consent in force, and its facts; None without one.

        1. Its row is in the hot set and valid; otherwise it is read from the store now.
        2. It is not stopped (`volens.store.StoppedConsents`), the person has not restricted it, in the store or in
           memory, and it has not ended by any clock, inactivity included. The hot set does not learn of a visit, which
           postpones inactivity, so a consent that has ended by its row is looked up in the store before it is refused.
        3. Its grant secret is unwrapped, and its embedding opened under a key derived from the receipt's bytes.

        Raises:
            TamperError: secret or embedding does not open, or the keyring has no secret for a consent in force.
        """
        for _ in range(_ATTEMPTS):
            # 1. and 2.
            if not self._is_here(reference_id) and not self._read_from_store(reference_id):
                self.has_refused = True
                return None
            if self._is_stopped(self._row.facts):
                return None
            # 3.
            if self._row.open(self._store.keyring):
                self.opened += 1
                return float(np.dot(self._row.vector, probe)), self._row.facts
            # An erasure or a rotation destroyed the key that wrapped it; or another process made that key just now.
            self._hot.remove(reference_id)
            for secret in self._store.keyring.grant_secrets([self._row.facts.receipt_id]).values():
                secret.wipe()
        raise UnavailableError("another process keeps replacing the keys; try again when it is done")

    def is_verified(self, winner: HotFacts) -> bool:
        """Check that the rows of the winner's consent are sealed, and the receipt is theirs.

        The receipt must be signed by that person, for this site and zone. The seal of the embedding was opened with the
        digest of the receipt's bytes, so these are the bytes under which the person was enrolled. Rows and signature
        are verified once as long as the row of the hot set is kept, and the result is kept in it.

        False if the consent has ended, or was stopped or restricted, since its row was read.

        Raises:
            TamperError: they are not.
        """
        if self._is_stopped(winner) or self._is_restricted_meanwhile(winner):
            return False
        is_verified = winner.receipt_until > self._now_s or self._is_verified_now(winner)
        self.has_refused |= not is_verified
        return is_verified

    def _is_stopped(self, facts: HotFacts) -> bool:
        return facts.receipt_id in self._stopped or facts.receipt_id in self._paused

    def _is_restricted_meanwhile(self, winner: HotFacts) -> bool:
        """Return whether the person has restricted their consent, here or elsewhere, since this decision began.

        On a server this costs no second round trip: the change feed levels the gallery when it learns of a change.
        """
        is_remote = self._store.data.remote is not None
        if (self._gallery.generation if is_remote else self._store.generation()) == self._as_of:
            return False
        with self._store.read_prepared() as snapshot:
            return is_restricted(snapshot, winner.receipt_id)

    def _is_here(self, reference_id: ReferenceId) -> bool:
        if reference_id in self._gallery.restricted:
            return False
        return self._hot.read(reference_id, self._row) and self._row.facts.live_until > self._now_s

    def _read_from_store(self, reference_id: ReferenceId) -> bool:
        """Read a candidate into the working memory, and into the hot set if there is room."""
        if reference_id in self._refused:
            return False
        found = self._load([reference_id]).get(reference_id)
        if found is None:
            self._refused.add(reference_id)
            return False
        if not self._is_here(reference_id):
            self._row.take(*found)
        return True

    def _load(self, ids: list[ReferenceId]) -> dict[ReferenceId, tuple[SealedReference, Wrapped, int]]:
        """Read candidates from the store into the hot set; those without a consent in force are left out.

        Raises:
            TamperError: the keyring has no secret for a consent in force.
        """
        gallery = self._gallery
        with self._store.read_prepared() as snapshot:
            as_of = log_size(snapshot)
            live = live_candidates(snapshot, gallery.purpose, gallery.model_id, ids, self._now)
        wrapped = self._store.keyring.wrapped([one.receipt.receipt_id for one in live.values()])
        found = {}
        for reference_id, reference in live.items():
            its = wrapped.get(reference.receipt.receipt_id)
            if its is None:
                check_ended(self._store, reference)
                continue
            self._hot.add(reference, its, as_of)
            found[reference_id] = (reference, its, as_of)
        return found

    def _is_verified_now(self, winner: HotFacts) -> bool:
        with self._store.read_prepared() as snapshot:
            consent = authenticate_consents(snapshot, [winner.receipt_id]).get(winner.receipt_id)
        if consent is None or consent.is_restricted or consent.ends_at <= self._now:
            return False
        stored = consent.receipt
        if stored.sha256 != winner.receipt_sha256:
            raise self._store.seals.damaged("a stored receipt was replaced while it is in use")
        term = stored.verified_until(self._store.site.controller.site_id, self._gallery.purpose)
        if term <= self._now:
            raise other_receipt()
        self._hot.set_verified(winner, math.floor(min(term, consent.ends_at).timestamp()))
        return True
