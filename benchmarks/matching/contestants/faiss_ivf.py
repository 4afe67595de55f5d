"""FAISS inverted lists."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import faiss

from benchmarks.matching.contestants.faiss_flat import FaissFlat
from benchmarks.matching.faces import FloatArray

_TRAINED_ON = 40  # faces for each list; FAISS warns below 39


class FaissIvf(FaissFlat):
    """Four times the root of the size as lists; nprobe is tuned, up to all of them."""

    efforts: ClassVar = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

    @staticmethod
    def make(faces: FloatArray) -> Any:  # noqa: ANN401  FAISS ships no types
        """See `FaissFlat`."""
        lists = max(1, min(4 * math.isqrt(len(faces)), len(faces) // _TRAINED_ON))
        quantizer = faiss.IndexFlatIP(faces.shape[1])
        index = faiss.IndexIVFFlat(quantizer, faces.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        index.train(faces[: lists * _TRAINED_ON])
        return index

    def tune(self, effort: int) -> None:
        """See `Contestant`."""
        self._index.nprobe = min(effort, self._index.nlist)

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {"nlist": self._index.nlist, "nprobe": self._index.nprobe}
