"""Voyager."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import voyager

from benchmarks.matching.contestant import Answer, Contestant, Scene
from benchmarks.matching.faces import FloatArray

_M = 32
_EF_CONSTRUCTION = 200


class VoyagerGraph(Contestant):
    """A graph; query_ef is tuned."""

    packages: ClassVar = ("voyager",)
    efforts: ClassVar = (64, 128, 256, 512, 1024, 2048, 4096, 8192)

    def __init__(self, scene: Scene) -> None:
        """Add all faces."""
        self._index: Any = voyager.Index(
            voyager.Space.InnerProduct, scene.faces.shape[1], M=_M, ef_construction=_EF_CONSTRUCTION, random_seed=1
        )
        self._index.add_items(scene.faces, num_threads=scene.build_threads)
        self._threshold = scene.threshold
        self._effort = self.efforts[0]
        self._bytes = len(self._index.as_bytes())

    @classmethod
    def build(cls, scene: Scene) -> Self:
        """See `Contestant`."""
        return cls(scene)

    def identify(self, probe: FloatArray) -> Answer:
        """See `Contestant`."""
        rows, distances = self._index.query(probe, k=1, query_ef=self._effort)
        return Answer(int(rows[0]) if 1 - distances[0] >= self._threshold else None)

    def tune(self, effort: int) -> None:
        """See `Contestant`."""
        self._effort = effort

    def size_bytes(self) -> int:
        """Return the size of the index as a file."""
        return self._bytes

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {"M": _M, "ef_construction": _EF_CONSTRUCTION, "query_ef": self._effort}
