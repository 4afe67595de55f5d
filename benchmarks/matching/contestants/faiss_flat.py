"""FAISS exact search without checks of consent: the baseline."""

from typing import Any, ClassVar, Self

import faiss

from benchmarks.matching.contestant import Answer, Contestant, Scene
from benchmarks.matching.faces import FloatArray


class FaissFlat(Contestant):
    """A FAISS index of plain embeddings; subclasses override `make` and `tune`."""

    packages: ClassVar = ("faiss-cpu",)

    def __init__(self, scene: Scene) -> None:
        """Make the index, and add all faces."""
        faiss.omp_set_num_threads(scene.build_threads)
        self._index: Any = self.make(scene.faces)
        self._index.add(scene.faces)
        faiss.omp_set_num_threads(1)
        self._threshold = scene.threshold

    @classmethod
    def build(cls, scene: Scene) -> Self:
        """See `Contestant`."""
        return cls(scene)

    @staticmethod
    def make(faces: FloatArray) -> Any:  # noqa: ANN401  FAISS ships no types
        """Return an empty index, trained if it must be."""
        return faiss.IndexFlatIP(faces.shape[1])

    def identify(self, probe: FloatArray) -> Answer:
        """See `Contestant`."""
        scores, rows = self._index.search(probe[None], 1)
        return Answer(int(rows[0, 0]) if scores[0, 0] >= self._threshold else None)

    def size_bytes(self) -> int:
        """Return the size of the index as a file."""
        return len(faiss.serialize_index(self._index))
