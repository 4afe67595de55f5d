"""The sketch scan and an exact comparison with plain embeddings: the time of Volens without the gate."""

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from benchmarks.matching.contestant import Answer, Contestant, Scene
from benchmarks.matching.contestants.volens_door import VolensDoor
from benchmarks.matching.faces import FloatArray
from volens.index import ESTIMATE_DEVIATIONS, SCAN_DEVIATIONS, distance_bound, estimate_deviation


class VolensUngated(Contestant):
    """Candidates of the same gallery, compared with the plain faces in memory."""

    packages: ClassVar = ("faiss-cpu", "numpy")

    def __init__(self, scene: Scene) -> None:
        """Build the gallery as a door does."""
        self._gallery = VolensDoor.build(scene).gallery
        self._faces = scene.faces
        self._threshold = scene.threshold
        bits = self._gallery.projection.bits
        self._distance = int(distance_bound(scene.threshold, bits, SCAN_DEVIATIONS))
        self._least = scene.threshold - ESTIMATE_DEVIATIONS * estimate_deviation(scene.threshold, bits)

    @classmethod
    def build(cls, scene: Scene) -> Self:
        """See `Contestant`."""
        return cls(scene)

    def identify(self, probe: FloatArray) -> Answer:
        """See `Contestant`."""
        (proposals,) = self._gallery.propose([probe], self._distance, self._least)
        rows = proposals.ids - 1
        if not len(rows):
            return Answer(None)
        scores = self._faces[rows] @ probe
        best = int(np.argmax(scores))
        return Answer(int(rows[best]) if scores[best] >= self._threshold else None)

    def size_bytes(self) -> int:
        """Return the bytes of the faces and the sketches."""
        return self._faces.nbytes + sum(len(one) for one in self._gallery.engine.buffers())

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {"bits": self._gallery.projection.bits, "distance": self._distance}
