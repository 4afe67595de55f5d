"""Galleries: the searchable sets, one for each purpose and model, built from the store and kept level with it."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from volens.consent import InputError, ModelId, Purpose, ReferenceId, TamperError, UnavailableError, VolensError
from volens.consent.embedding import FloatArray
from volens.index.engine import Engine, Shortlist
from volens.index.flat_engine import FlatEngine
from volens.index.projection import Projection, SketchArray, signs
from volens.index.reference_opener import opened
from volens.index.snapshot_format import packed, unpacked
from volens.store import Store
from volens.store.backup import GalleryState, has_snapshot, keep_snapshot, open_snapshot
from volens.store.log import CONSENT_ENDED, kinds_since, log_size
from volens.store.people import SealedReference
from volens.store.people.references import count_up_to, reference_ids, references_in
from volens.store.promises import zone_of
from volens.store.sqlite import Glance

SNAPSHOT_FROM: Final = 10_000
"""References that had to be opened to build a gallery, from which on its sketches are kept; a second, more or less."""

_BATCH: Final = 500
_UNBUILT: Final = -1


@final
@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """What a gallery proposes, the highest estimate first.

    Attributes:
        ids: int64 (m,).
        estimates: of the comparison scores, float32 (m,); see `Projection.estimates`.
    """

    ids: NDArray[np.int64]
    estimates: FloatArray

    @classmethod
    def of(cls, shortlist: Shortlist, estimates: FloatArray, least: float) -> Self:
        """Take those of a shortlist whose estimate is at least so high, in the order of their estimates."""
        chosen = np.flatnonzero(estimates >= least)
        chosen = chosen[np.argsort(-estimates[chosen], kind="stable")]
        return cls(shortlist.ids[chosen], estimates[chosen])


@final
class Gallery:
    """The references of one purpose and model as keyed sketches. Proposes, never decides."""

    def __init__(self, projection: Projection, engine: Engine, epoch: int) -> None:
        """Search with an empty engine; `epoch` is that of the store key which the projection was derived from."""
        self.projection = projection
        self.epoch = epoch
        self.engine = engine
        self.generation = _UNBUILT
        self.newest = 0

    def add_many(self, ids: NDArray[np.int64], sketches: SketchArray) -> None:
        """Hold sketches: ids int64 (n,), uint8 (n, bits / 8)."""
        self.engine.add_many(ids, sketches)
        self.newest = max(self.newest, int(ids.max(initial=0)))

    def remove(self, reference_id: ReferenceId) -> bool:
        """Let go of a sketch; False if it was not held."""
        return self.engine.remove(reference_id)

    def propose(self, vectors: Sequence[FloatArray], distance: int, least: float) -> list[Proposals]:
        """Return who may be near each of several unit vectors, float32 (d,), with one scan for all.

        Args:
            vectors: of the probes.
            distance: the largest Hamming distance of a sketch to the probe's.
            least: the lowest estimate of the comparison score.
        """
        rotated = [self.projection.rotated(vector) for vector in vectors]
        sketches = np.stack([signs(one) for one in rotated])
        proposed: list[Proposals] = []
        for one, shortlist in zip(rotated, self.engine.within(sketches, distance), strict=True):
            proposed.append(Proposals.of(shortlist, self.projection.estimates(one, shortlist.sketches), least))
            shortlist.sketches.fill(0)
            one.fill(0)
        sketches.fill(0)
        return proposed

    def __len__(self) -> int:
        """Return the number of references."""
        return len(self.engine)


@final
class Galleries:
    """All galleries of a process. Each is made when it is first asked for, and follows the store's log."""

    def __init__(self, store: Store, make_engine: Callable[[int], Engine] = FlatEngine) -> None:
        """Serve the galleries of a store; `make_engine` takes the bits of a sketch."""
        self._store = store
        self._make_engine = make_engine
        self._galleries: dict[tuple[Purpose, ModelId], Gallery] = {}
        self._erased: set[ReferenceId] = set()
        self._lock = threading.Lock()

    def at(self, glance: Glance, purpose: Purpose, model_id: ModelId, dimension: int) -> Gallery:
        """Return a gallery that is level with a snapshot, or with a newer one; see `of`."""
        gallery = self._galleries.get((purpose, model_id))
        if gallery is None or gallery.generation < log_size(glance) or gallery.epoch != self._store.keyring.epoch:
            with self._store.read() as connection:
                return self.of(connection, purpose, model_id, dimension)
        _check_dimension(gallery, dimension)
        return gallery

    def of(self, connection: Connection, purpose: Purpose, model_id: ModelId, dimension: int) -> Gallery:
        """Return a gallery as it should be in the snapshot of `connection`.

        Every change of references is in the audit log, so its size tells whether anything may have changed, here or in
        another process, and the kinds of what was added tell what. Ids grow, so what is new is read by id; ids are
        compared only where somebody else has erased.

        Raises:
            InputError: the gallery is of vectors of another dimension.
            RefusedError: in this zone the person holds the key, so there is nothing to search.
            TamperError: a reference in the store does not open.
        """
        keyring = self._store.keyring
        with self._lock:
            gallery = self._galleries.get((purpose, model_id))
            generation = log_size(connection)
            if gallery is not None and gallery.generation < generation:
                keyring.refresh()  # a rotation in another process is in the log as well
            if gallery is None or gallery.epoch != keyring.epoch:
                if gallery is None:
                    zone_of(connection, purpose).check_searchable()  # once: a zone's custody never changes
                else:
                    _empty(gallery)
                epoch, seed = keyring.epoch, keyring.projection_seed(model_id)
                projection = Projection(seed, dimension)
                gallery = Gallery(projection, self._make_engine(projection.bits), epoch)
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

    def level(self, connection: Connection) -> None:
        """Bring every gallery that exists level with the snapshot of `connection`; see `of`."""
        for (purpose, model_id), gallery in list(self._galleries.items()):
            self.of(connection, purpose, model_id, gallery.projection.dimension)

    def erase(self, ids: Iterable[ReferenceId]) -> int:
        """Remove references from every gallery, for good: no reader of an older snapshot brings them back.

        Returns:
            The number of sketches removed; 0 where no gallery of this process held one.
        """
        with self._lock:
            gone = set(ids)
            self._erased |= gone
            return sum(gallery.remove(one) for gallery in self._galleries.values() for one in gone)

    def reissue(self) -> None:
        """Let go of every sketch that was made under an older store key; they are made anew when next asked for."""
        with self._lock:
            epoch = self._store.keyring.epoch
            for key, gallery in list(self._galleries.items()):
                if gallery.epoch != epoch:
                    _empty(gallery)
                    del self._galleries[key]

    def built(self) -> list[Gallery]:
        """Return the galleries that exist in this process."""
        with self._lock:
            return list(self._galleries.values())

    def of_zone(self, purpose: Purpose) -> Mapping[ModelId, Gallery]:
        """Return the galleries of a purpose that exist in this process."""
        with self._lock:
            return {model_id: one for (zone, model_id), one in self._galleries.items() if zone == purpose}

    def close(self) -> None:
        """Keep what would be work to make again. What cannot be kept is made anew; nothing is said of it."""
        for purpose, model_id in list(self._galleries):
            gallery = self._galleries[purpose, model_id]
            with suppress(VolensError):
                if len(gallery) >= SNAPSHOT_FROM and not has_snapshot(self._store, purpose, model_id):
                    with self._store.read() as connection:
                        level = self.of(connection, purpose, model_id, gallery.projection.dimension)
                    self._keep(level, purpose, model_id)

    def _keep(self, gallery: Gallery, purpose: Purpose, model_id: ModelId) -> None:
        state = GalleryState(purpose, model_id, gallery.epoch, gallery.generation)
        keep_snapshot(self._store, state, packed(gallery.engine))

    def _load(self, connection: Connection, gallery: Gallery, purpose: Purpose, model_id: ModelId) -> None:
        """Take what a snapshot has, if one fits; `_level` does the rest, or all."""
        found = open_snapshot(self._store, connection, purpose, model_id, gallery.epoch)
        if found is None:
            return
        state, parts = found
        try:
            for part in parts:
                ids, sketches = unpacked(part, gallery.projection.bits // 8)
                gallery.add_many(ids, sketches)
        except (TamperError, UnavailableError):
            _empty(gallery)
            gallery.newest = 0
            return
        for reference_id in self._erased:
            gallery.remove(reference_id)
        gallery.generation = state.log_size

    def _level(self, connection: Connection, gallery: Gallery, purpose: Purpose, model_id: ModelId) -> None:
        """Bring in what was enrolled since, and let go of what is gone. Only an ended consent takes references away."""
        after, held = gallery.newest, set[ReferenceId]()
        if (
            gallery.generation == _UNBUILT or CONSENT_ENDED in kinds_since(connection, gallery.generation)
        ) and count_up_to(connection, purpose, model_id, gallery.newest) != len(gallery):
            after, held = 0, gallery.engine.held()
        wanted = reference_ids(connection, purpose, model_id, after) - self._erased
        for reference_id in held - wanted:
            gallery.remove(reference_id)
        batch: list[SealedReference] = []
        for reference in references_in(connection, purpose, model_id, sorted(wanted - held)):
            batch.append(reference)
            if len(batch) == _BATCH:
                self._add(gallery, batch)
                batch = []
        self._add(gallery, batch)

    def _add(self, gallery: Gallery, batch: list[SealedReference]) -> None:
        ids: list[int] = []
        sketches = np.zeros((len(batch), gallery.projection.bits // 8), dtype=np.uint8)
        try:
            for reference, vector in opened(self._store, batch):
                gallery.projection.sketch_into(vector.array, sketches[len(ids)])
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


def _empty(gallery: Gallery) -> None:
    for reference_id in gallery.engine.held():
        gallery.remove(reference_id)
