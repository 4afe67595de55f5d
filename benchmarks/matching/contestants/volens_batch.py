"""Volens whole, 32 probes at once."""

from collections.abc import Sequence
from typing import ClassVar

import index
from benchmarks.matching.contestant import Answer, Scene
from benchmarks.matching.contestants.volens_door import VolensDoor, answer
from benchmarks.matching.faces import FloatArray


class VolensBatch(VolensDoor):
    """One scan and one set of queries for all."""

    batch: ClassVar = 32

    def __init__(self, scene: Scene) -> None:
        """See `VolensDoor`.

        Raises:
            ImportError: this version identifies one by one only.
        """
        if not hasattr(index, "identify_many"):
            raise ImportError("index.identify_many is not there", name="index.identify_many")
        super().__init__(scene)
        self._identify_many = index.identify_many

    def identify_many(self, probes: Sequence[FloatArray]) -> Sequence[Answer]:
        """See `Contestant`."""
        taken = [self.probe(one) for one in probes]
        found = self._identify_many(self.store, self.galleries, taken, self._threshold, self.store.now())
        for one in taken:
            one.vector.wipe()
        return [answer(decision) for decision in found]
