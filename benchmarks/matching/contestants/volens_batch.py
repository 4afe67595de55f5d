"""Volens with all checks, 32 probes in one batch."""

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.matching.contestant import Answer
from benchmarks.matching.contestants.volens_door import VolensDoor, answer
from benchmarks.matching.faces import FloatArray
from volens.index import identify_many


class VolensBatch(VolensDoor):
    """One scan and one set of queries for all."""

    batch: ClassVar = 32

    def identify_many(self, probes: Sequence[FloatArray]) -> Sequence[Answer]:
        """See `Contestant`."""
        taken = [self.probe(one) for one in probes]
        found = identify_many(self.store, self.galleries, taken, self._threshold, self.store.now())
        for one in taken:
            one.vector.wipe()
        return [answer(decision) for decision in found]
