"""FAISS RaBitQ, one bit for each dimension, fast scan, and the nearest compared exactly."""

from collections.abc import Mapping
from typing import Any, ClassVar

import faiss

from benchmarks.matching.contestants.faiss_flat import FaissFlat
from benchmarks.matching.faces import FloatArray

_TRAINED_ON = 10_000


class FaissRabitq(FaissFlat):
    """How many are compared exactly is tuned."""

    efforts: ClassVar = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)

    @staticmethod
    def make(faces: FloatArray) -> Any:  # noqa: ANN401  FAISS ships no types
        """See `FaissFlat`."""
        codes = faiss.IndexRaBitQFastScan(faces.shape[1], faiss.METRIC_INNER_PRODUCT)
        exact = faiss.IndexFlatIP(faces.shape[1])
        index = faiss.IndexRefine(codes, exact)
        index.train(faces[:_TRAINED_ON])
        return index

    def tune(self, effort: int) -> None:
        """See `Contestant`."""
        self._index.k_factor = effort

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {"compared exactly": int(self._index.k_factor)}
