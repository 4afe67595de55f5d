"""usearch, half precision, as its authors recommend."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from usearch.index import Index

from benchmarks.matching.contestant import Answer, Contestant, Scene
from benchmarks.matching.faces import FloatArray

_M = 32
_EF_CONSTRUCTION = 200


class UsearchGraph(Contestant):
    """A graph; its expansion is tuned."""

    packages: ClassVar = ("usearch",)
    efforts: ClassVar = (64, 128, 256, 512, 1024, 2048, 4096, 8192)

    def __init__(self, scene: Scene) -> None:
        """Add all faces."""
        self._index: Any = Index(
            ndim=scene.faces.shape[1], metric="ip", dtype="f16", connectivity=_M, expansion_add=_EF_CONSTRUCTION
        )
        self._index.add(np.arange(len(scene.faces)), scene.faces, threads=scene.build_threads)
        self._threshold = scene.threshold

    @classmethod
    def build(cls, scene: Scene) -> Self:
        """See `Contestant`."""
        return cls(scene)

    def identify(self, probe: FloatArray) -> Answer:
        """See `Contestant`."""
        found = self._index.search(probe, 1, threads=1)
        return Answer(int(found.keys[0]) if len(found) and 1 - found.distances[0] >= self._threshold else None)

    def tune(self, effort: int) -> None:
        """See `Contestant`."""
        self._index.expansion_search = effort

    def size_bytes(self) -> int:
        """Return the size that the index reports."""
        return int(self._index.memory_usage)

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {
            "connectivity": _M,
            "expansion_add": _EF_CONSTRUCTION,
            "expansion_search": self._index.expansion_search,
            "dtype": "f16",
        }
