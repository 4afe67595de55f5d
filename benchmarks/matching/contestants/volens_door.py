"""Volens with all checks: live consent, unsealing, exact score and the winner's signature in every answer."""

from collections.abc import Mapping
from typing import ClassVar, Self

from benchmarks.matching.contestant import Answer, Contestant, Scene
from benchmarks.matching.faces import FloatArray
from benchmarks.matching.population import MODEL, ZONE
from volens.consent import ProbeEmbedding, Purpose, UnitVector, permit_probe
from volens.index import Decision, FlatEngine, Galleries, Gallery, identify
from volens.store import Store
from volens.store.promises import zone_of


class VolensDoor(Contestant):
    """A door of the copied site.

    Attributes:
        store: of the site.
        galleries: of this contestant only.
        gallery: the one to search.
    """

    packages: ClassVar = ("faiss-cpu", "numpy", "sqlalchemy", "cryptography")
    gated: ClassVar = True
    scan_threads: ClassVar = 1

    def __init__(self, store: Store, galleries: Galleries, threshold: float, dimension: int) -> None:
        """Use galleries that are built and filled, as those of a door that has been open for some minutes."""
        self.store = store
        self.galleries = galleries
        self._threshold = threshold
        with self.store.read() as connection:
            self._permit = permit_probe(zone_of(connection, Purpose(ZONE)))
        self.gallery: Gallery = galleries.at(Purpose(ZONE), MODEL, dimension)
        while galleries.fill_hot_sets():
            pass

    @classmethod
    def build(cls, scene: Scene) -> Self:
        """See `Contestant`."""
        store = scene.site.installation.store
        return cls(store, scene.galleries(cls.scan_threads), scene.threshold, scene.faces.shape[1])

    def probe(self, face: FloatArray) -> ProbeEmbedding:
        """Return a face as the models return it."""
        return ProbeEmbedding(self._permit, UnitVector.normalised(face), MODEL)

    def identify(self, probe: FloatArray) -> Answer:
        """See `Contestant`."""
        taken = self.probe(probe)
        found = answer(identify(self.store, self.galleries, taken, self._threshold, self.store.now()))
        taken.vector.wipe()
        return found

    def size_bytes(self) -> int:
        """See `Contestant`."""
        engine = self.gallery.engine
        return (engine.nbytes() if isinstance(engine, FlatEngine) else 0) + self.gallery.hot.nbytes()

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {"bits": self.gallery.projection.bits}


class VolensTwoThreads(VolensDoor):
    """The same with two threads for each scan."""

    threads: ClassVar = 2
    scan_threads: ClassVar = 2


def answer(decision: Decision) -> Answer:
    """Convert a decision to an answer of the benchmark."""
    row = None if decision.match is None else decision.match.reference_id - 1
    return Answer(row, decision.sealed_opened)
