"""Galleries: the searchable sets of references, one for each purpose and model, kept in step with the store."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from volens.consent import (
    InputError,
    ModelId,
    Purpose,
    ReferenceId,
    TamperError,
    UnavailableError,
    VolensError,
    Zone,
)
from volens.consent.embedding import FloatArray
from volens.index.event_effects import REMOVING, RESTRICTING, changes_nothing, outdates_rows
from volens.index.flat_engine import FlatEngine
from volens.index.hot_set import HOT_SET_BYTES, HotSet
from volens.index.projection import Projection, SketchArray, signs
from volens.index.reference_opener import opened
from volens.index.search_engine import NO_PROPOSALS, Proposals, SearchEngine
from volens.index.snapshot_format import packed, unpacked
from volens.store import Store
from volens.store.backup import GalleryState, has_snapshot, keep_snapshot, open_snapshot
from volens.store.log import CONSENT_ENDED, kinds_since, log_size
from volens.store.people import SealedReference
from volens.store.people.references import count_up_to, reference_ids, references_in
from volens.store.people.restrictions import restricted_references
from volens.store.primary_read import news_since
from volens.store.promises import threshold_shift, zone_of

SNAPSHOT_FROM: Final = 10_000
"""From how many opened references on a gallery is saved as a snapshot: about a second of work."""

_BATCH: Final = 500
_UNBUILT: Final = -1


@final
class Gallery:
    """The references of one purpose and model as keyed sketches. It proposes candidates, and never decides.

    Attributes:
        hot: the rows that a decision needs of the references.
        zone: with what it requires besides the face, and whether it is paused.
        generation: of the store (`Store.generation`) to which sketches, hot set and zone were levelled.
        restricted: the references whose people have restricted their consent; the gate refuses them.
        threshold_shift: how far the thresholds of this zone lie above those of the model.
    """

    def __init__(
        self,
        zone: Zone,
        model_id: ModelId,
        projection: Projection,
        engine: SearchEngine,
        epoch: int,
        hot_set_bytes: int = HOT_SET_BYTES,
    ) -> None:
        """Start with an empty engine; `epoch` is that of the projection key."""
        self.zone = zone
        self.model_id = model_id
        self.projection = projection
        self.epoch = epoch
        self.engine = engine
        self.hot = HotSet(zone.purpose, model_id, projection.dimension, engine.__contains__, hot_set_bytes)
        self.generation = _UNBUILT
        self.restricted: frozenset[ReferenceId] = frozenset()
        self.threshold_shift = 0.0
        self.newest = 0

    @property
    def purpose(self) -> Purpose:
        """The name of the zone."""
        return self.zone.purpose

    def add_many(self, ids: NDArray[np.int64], sketches: SketchArray) -> None:
        """Add sketches: ids int64 (n,), uint8 (n, bits / 8)."""
        self.engine.add_many(ids, sketches)
        self.newest = max(self.newest, int(ids.max(initial=0)))

    def propose(self, vectors: Sequence[FloatArray], distance: int, least: float) -> list[Proposals]:
        """Return the candidates near each of several probes, float32 (d,), unit norm, with one scan for all.

        Their sketches are at most `distance` bits from the probe's, and the estimates of their scores `least` or more.
        """
        rotated = [self.projection.rotated(vector) for vector in vectors]
        sketches = np.empty((len(rotated), self.projection.bits // 8), dtype=np.uint8)
        for one, sketch in zip(rotated, sketches, strict=True):
            sketch[:] = signs(one)
        proposed: list[Proposals] = []
        for one, shortlist in zip(rotated, self.engine.within(sketches, distance), strict=True):
            if len(shortlist.ids):
                estimates = self.projection.estimates(one, shortlist.sketches)
                chosen = np.flatnonzero(estimates >= least)
                if len(chosen) > 1:
                    chosen = chosen[np.argsort(-estimates[chosen], kind="stable")]
                proposed.append(Proposals(shortlist.ids[chosen], estimates[chosen]))
                shortlist.sketches.fill(0)
            else:
                proposed.append(NO_PROPOSALS)
            one.fill(0)
        sketches.fill(0)
        return proposed

    def remove(self, reference_id: ReferenceId) -> bool:
        """Remove sketch and row, so that their bytes are nowhere in the gallery; False if it held no sketch."""
        held = self.engine.remove(reference_id)  # first: the hot set keeps no row of what the engine does not hold
        self.hot.remove(reference_id)
        return held

    def clear(self) -> None:
        """Overwrite all sketches and rows."""
        for reference_id in self.engine.held():
            self.engine.remove(reference_id)
        self.hot.wipe()

    def __len__(self) -> int:
        return len(self.engine)


@final
class Galleries:
    """All galleries of a process. Each is built when it is first needed, and follows the store's log.

    Attributes:
        hot_set_bytes: the most memory of the hot set of each gallery that is built from now on.
        served: the zones of `serve_only`; None for all.
    """

    def __init__(self, store: Store, make_engine: Callable[[int], SearchEngine] = FlatEngine) -> None:
        """Serve the galleries of a store; `make_engine` takes the number of bits of a sketch."""
        self.hot_set_bytes = HOT_SET_BYTES
        self._store = store
        self._make_engine = make_engine
        self._galleries: dict[tuple[Purpose, ModelId], Gallery] = {}
        self._erased: set[ReferenceId] = set()
        self.served: frozenset[Purpose] | None = None
        self._lock = threading.Lock()

    def serve_only(self, purposes: Iterable[Purpose]) -> None:
        """Have galleries of these zones only. A claim (1:1) needs no gallery, so it is verified in every zone.

        Raises:
            InputError: there is no such zone.
            RefusedError: in a zone the person holds the key, so it has no gallery.
        """
        served = frozenset(purposes)
        with self._store.read() as connection:
            for purpose in sorted(served):
                zone_of(connection, purpose).check_searchable()
        self.served = served

    def load(self, model_id: ModelId, dimension: int) -> None:
        """Build the galleries of the zones of `serve_only`, from their snapshots if there are any; see `of`."""
        for purpose in sorted(self.served or ()):
            with self._store.read() as connection:
                self.of(connection, purpose, model_id, dimension)

    def at(self, purpose: Purpose, model_id: ModelId, dimension: int) -> Gallery:
        """Return a gallery to match with, as the store is now; see `of`.

        Cost if unchanged: one prepared statement; of a store on a server, one round trip (`news_since`).

        Raises:
            ZonePausedError: the operator paused the zone.
            InputError, RefusedError, TamperError: see `of`.
        """
        gallery = self._galleries.get((purpose, model_id))
        if gallery is None or not self._is_current(gallery):
            with self._store.read() as connection:
                gallery = self.of(connection, purpose, model_id, dimension)
        _check_dimension(gallery, dimension)
        gallery.zone.check_in_use()
        return gallery

    def of(self, connection: Connection, purpose: Purpose, model_id: ModelId, dimension: int) -> Gallery:
        """Return a gallery that is up to date with the snapshot of `connection`.

        Every change of references is in the audit log, so its size shows whether anything may have changed, here or in
        another process, and the kinds of the new leaves show what. Ids grow, so new references are read by id; the sets
        of ids are compared only if another process has erased.

        Raises:
            InputError: the gallery has vectors of another dimension.
            RefusedError: in this zone the person holds the key, so there is no gallery to search.
            UnavailableError: this process serves other zones; see `serve_only`.
            TamperError: a reference in the store does not open.
        """
        if self.served is not None and purpose not in self.served:
            raise UnavailableError(
                f"this node does not serve zone {purpose!r}; send its doors to a node that does, or add it to the "
                "setting serve_zone of this one"
            )
        keyring = self._store.keyring
        with self._lock:
            gallery = self._galleries.get((purpose, model_id))
            generation = log_size(connection)
            if gallery is not None and gallery.generation < generation:
                if changes_nothing(kinds_since(connection, gallery.generation)):
                    gallery.generation = generation
                else:
                    # A rotation in another process is in the log as well. Without its holder the old keys must do:
                    # erased people are dropped all the same, and those whose bucket has a new key are reported when
                    # opened.
                    with suppress(UnavailableError):
                        keyring.refresh()
            if gallery is None or gallery.epoch != keyring.projection_epoch:
                zone = zone_of(connection, purpose)
                if gallery is None:
                    zone.check_searchable()  # once: a zone's custody never changes
                else:
                    gallery.clear()
                with keyring.unlocked.lock:  # both of the same key
                    epoch, seed = keyring.projection_epoch, keyring.projection_seed(model_id)
                projection = Projection(seed, dimension)
                gallery = Gallery(
                    zone, model_id, projection, self._make_engine(projection.bits), epoch, self.hot_set_bytes
                )
                gallery.restricted = restricted_references(connection, purpose, model_id)
                gallery.threshold_shift = threshold_shift(connection, purpose, model_id)
                self._load(connection, gallery, purpose, model_id)
                self._galleries[purpose, model_id] = gallery
            _check_dimension(gallery, dimension)
            if gallery.generation < generation:
                before = len(gallery)
                self._level(connection, gallery, purpose, model_id)
                gallery.generation = generation
                if len(gallery) - before >= SNAPSHOT_FROM:
                    self._keep(gallery, purpose, model_id)
            return gallery

    def zone(self, purpose: Purpose) -> Zone:
        """Return a zone as it is now; of a store on a server in one round trip, if a gallery of it is up to date.

        Raises:
            InputError: there is no such zone.
            TamperError: its rows do not verify.
        """
        if self._store.data.remote is not None:
            for (its, _model), gallery in self._galleries.copy().items():
                if its == purpose and self._is_current(gallery):
                    return gallery.zone
        with self._store.read() as connection:
            return zone_of(connection, purpose)

    def _is_current(self, gallery: Gallery) -> bool:
        """Return whether nothing was committed that changes a gallery; other entries of the log are applied with it."""
        known = gallery.generation
        if known == _UNBUILT:
            return False  # another thread builds it
        if self._store.data.remote is None:
            generation = self._store.generation()
        else:
            news = news_since(self._store, known)
            generation = news.generation
            if changes_nothing(news.kinds):
                with self._lock:
                    if gallery.generation == known:
                        gallery.generation = generation
        return gallery.generation >= generation and gallery.epoch == self._store.keyring.projection_epoch

    def level(self, connection: Connection) -> None:
        """Update every gallery of this process to the snapshot of `connection`; see `of`."""
        for (purpose, model_id), gallery in self.built().items():
            self.of(connection, purpose, model_id, gallery.projection.dimension)

    def erase(self, ids: Iterable[ReferenceId]) -> int:
        """Remove references from every gallery, permanently: a reader of an older snapshot does not bring them back.

        Return the number of sketches removed; 0 if no gallery of this process held one.
        """
        with self._lock:
            gone = set(ids)
            self._erased |= gone
            return sum(gallery.remove(one) for gallery in self._galleries.values() for one in gone)

    def fill_hot_sets(self) -> bool:
        """Read the next 64 references into the hot set of a gallery; False if none are left to read.

        For a process that keeps the site open; until a row is there, a decision reads it from the store.

        Raises:
            UnavailableError, TamperError: the store cannot be read.
        """
        for gallery in self.built().values():
            newest = ReferenceId(gallery.newest)
            if gallery.hot.needs_filling(self._store.keyring, newest):
                gallery.hot.fill(self._store, newest)
                return True
        return False

    def reissue(self) -> None:
        """Remove every sketch of an older projection key; the galleries are rebuilt when next needed."""
        with self._lock:
            epoch = self._store.keyring.projection_epoch
            for key, gallery in list(self._galleries.items()):
                if gallery.epoch != epoch:
                    gallery.clear()
                    del self._galleries[key]

    def built(self) -> dict[tuple[Purpose, ModelId], Gallery]:
        """Return the galleries that exist in this process."""
        with self._lock:
            return dict(self._galleries)

    def close(self) -> None:
        """Save snapshots of the galleries that are costly to build, and overwrite all hot sets.

        A snapshot that cannot be saved is made when the gallery is built again.
        """
        for (purpose, model_id), gallery in self.built().items():
            gallery.hot.wipe()
            with suppress(VolensError):
                if len(gallery) >= SNAPSHOT_FROM and not has_snapshot(self._store, purpose, model_id):
                    with self._store.read() as connection:
                        level = self.of(connection, purpose, model_id, gallery.projection.dimension)
                    self._keep(level, purpose, model_id)

    def _keep(self, gallery: Gallery, purpose: Purpose, model_id: ModelId) -> None:
        state = GalleryState(purpose, model_id, gallery.epoch, gallery.generation)
        keep_snapshot(self._store, state, packed(gallery.engine))

    def _load(self, connection: Connection, gallery: Gallery, purpose: Purpose, model_id: ModelId) -> None:
        """Load the snapshot of the gallery, if one fits; `_level` adds the rest, or everything."""
        found = open_snapshot(self._store, connection, purpose, model_id, gallery.epoch)
        if found is None:
            return
        state, parts = found
        try:
            for part in parts:
                ids, sketches = unpacked(part, gallery.projection.bits // 8)
                gallery.add_many(ids, sketches)
        except (TamperError, UnavailableError):
            gallery.clear()
            gallery.newest = 0
            return
        for reference_id in self._erased:
            gallery.engine.remove(reference_id)
        gallery.generation = state.log_size

    def _level(self, connection: Connection, gallery: Gallery, purpose: Purpose, model_id: ModelId) -> None:
        """Add what was enrolled since, then remove what was erased.

        References disappear only by the events in `REMOVING`. New ones are added first, so that a person whose
        reference was replaced is always in the gallery; what was erased is refused by the store meanwhile.
        """
        kinds = {CONSENT_ENDED, ""} if gallery.generation == _UNBUILT else kinds_since(connection, gallery.generation)
        after, held = gallery.newest, set[ReferenceId]()
        if kinds & REMOVING and count_up_to(connection, purpose, model_id, gallery.newest) != len(gallery):
            after, held = 0, gallery.engine.held()
        wanted = reference_ids(connection, purpose, model_id, after) - self._erased
        if kinds & RESTRICTING:
            gallery.restricted = restricted_references(connection, purpose, model_id)
        if outdates_rows(kinds):
            gallery.zone = zone_of(connection, purpose)
            gallery.threshold_shift = threshold_shift(connection, purpose, model_id)
            gallery.hot.outdate(log_size(connection))
        batch: list[SealedReference] = []
        try:
            for reference in references_in(connection, purpose, model_id, sorted(wanted - held)):
                batch.append(reference)
                if len(batch) == _BATCH:
                    self._add(gallery, batch)
                    batch = []
            self._add(gallery, batch)
        finally:
            for reference_id in held - wanted:
                gallery.remove(reference_id)

    def _add(self, gallery: Gallery, batch: list[SealedReference]) -> None:
        ids: list[int] = []
        sketches = np.zeros((len(batch), gallery.projection.bits // 8), dtype=np.uint8)
        try:
            for reference, vector in opened(self._store, batch):
                sketch = gallery.projection.sketch(vector.array)
                sketches[len(ids)] = sketch
                sketch.fill(0)
                ids.append(reference.reference_id)
            gallery.add_many(np.array(ids, dtype=np.int64), sketches[: len(ids)])
        finally:
            sketches.fill(0)


def _check_dimension(gallery: Gallery, dimension: int) -> None:
    if gallery.projection.dimension != dimension:
        raise InputError(
            f"got an embedding of {dimension} dimensions; the gallery of this zone and model has "
            f"{gallery.projection.dimension}, so use the model that the people were enrolled with"
        )
