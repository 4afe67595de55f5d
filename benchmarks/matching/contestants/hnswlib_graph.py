"""hnswlib."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import hnswlib

from benchmarks.matching.contestant import Answer, Contestant, Scene
from benchmarks.matching.faces import FloatArray

_M = 32
_EF_CONSTRUCTION = 200


class HnswlibGraph(Contestant):
    """A graph; ef is tuned."""

    packages: ClassVar = ("hnswlib",)
    efforts: ClassVar = (64, 128, 256, 512, 1024, 2048, 4096, 8192)

    def __init__(self, scene: Scene) -> None:
        """Add all faces."""
        self._index: Any = hnswlib.Index(space="ip", dim=scene.faces.shape[1])
        self._index.init_index(len(scene.faces), ef_construction=_EF_CONSTRUCTION, M=_M, random_seed=1)
        self._index.add_items(scene.faces, num_threads=scene.build_threads)
        self._index.set_num_threads(1)
        self._threshold = scene.threshold

    @classmethod
    def build(cls, scene: Scene) -> Self:
        """See `Contestant`."""
        return cls(scene)

    def identify(self, probe: FloatArray) -> Answer:
        """See `Contestant`."""
        rows, distances = self._index.knn_query(probe[None], k=1)
        return Answer(int(rows[0, 0]) if 1 - distances[0, 0] >= self._threshold else None)

    def tune(self, effort: int) -> None:
        """See `Contestant`."""
        self._index.set_ef(effort)

    def size_bytes(self) -> int:
        """Return the size of the index as a file."""
        return int(self._index.index_file_size())

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {"M": _M, "ef_construction": _EF_CONSTRUCTION, "ef": self._index.ef}
