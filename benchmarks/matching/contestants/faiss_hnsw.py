"""FAISS HNSW."""

from collections.abc import Mapping
from typing import Any, ClassVar

import faiss

from benchmarks.matching.contestants.faiss_flat import FaissFlat
from benchmarks.matching.faces import FloatArray

_M = 32
_EF_CONSTRUCTION = 200


class FaissHnsw(FaissFlat):
    """A graph; efSearch is tuned."""

    efforts: ClassVar = (64, 128, 256, 512, 1024, 2048, 4096, 8192)

    @staticmethod
    def make(faces: FloatArray) -> Any:  # noqa: ANN401  FAISS ships no types
        """See `FaissFlat`."""
        index = faiss.IndexHNSWFlat(faces.shape[1], _M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _EF_CONSTRUCTION
        return index

    def tune(self, effort: int) -> None:
        """See `Contestant`."""
        self._index.hnsw.efSearch = effort

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {"M": _M, "efConstruction": _EF_CONSTRUCTION, "efSearch": self._index.hnsw.efSearch}
