"""Volens whole in two processes, as two workers of `volens serve`: each has its own gallery and hot set."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar, Self

from benchmarks.matching.contestant import Answer, Scene
from benchmarks.matching.contestants.volens_door import VolensDoor
from benchmarks.matching.faces import FloatArray
from volens import Site


class VolensTwoProcesses(VolensDoor):
    """32 probes are divided between this process and another one, which both decide about one after the other."""

    threads: ClassVar = 2
    batch: ClassVar = 32

    @classmethod
    def build(cls, scene: Scene) -> Self:
        """Build the gallery, and start the other process."""
        door = super().build(scene)
        door.start(scene)
        return door

    def start(self, scene: Scene) -> None:
        """Start the other process, and return when its hot set is full."""
        context = multiprocessing.get_context("spawn")
        self._link, theirs = context.Pipe()
        given = (theirs, scene.site.home, scene.threshold, scene.faces.shape[1])
        self._process = context.Process(target=_decide, args=given, daemon=True)
        self._process.start()
        self._link.recv()

    def identify_many(self, probes: Sequence[FloatArray]) -> Sequence[Answer]:
        """See `Contestant`."""
        half = len(probes) // 2
        self._link.send(list(probes[:half]))
        mine = [self.identify(probe) for probe in probes[half:]]
        return [*self._link.recv(), *mine]

    def close(self) -> None:
        """See `Contestant`."""
        self._link.send(None)
        self._process.join()


def _decide(link: Connection, home: Path, threshold: float, dimension: int) -> None:
    """Answer what comes over the link until None comes."""
    with Site.open(home) as site:
        store = site.installation.store
        door = VolensDoor(store, site.installation.galleries, threshold, dimension)
        link.send(len(door.gallery))
        while (probes := link.recv()) is not None:
            link.send([door.identify(probe) for probe in probes])
