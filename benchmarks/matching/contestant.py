"""What a contestant can do: a small protocol, so that all of them are asked the same."""

import os
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, Self

from benchmarks.matching.faces import FloatArray
from volens import Site


class Answer(NamedTuple):
    """Who a probe is: the row of the person, or None; and how many sealed embeddings were opened to say so."""

    row: int | None
    opened: int | None = None


@dataclass(eq=False)
class Scene:
    """What all contestants of one run share.

    Attributes:
        faces: of everybody enrolled, float32 (n, d), unit norm; read, never written.
        threshold: lowest cosine similarity that counts as the same person.
        home: the site in which everybody is enrolled, reference n + 1 being face n. Kept as it is: `site` is a copy.
        work: an empty folder.
        build_threads: how many threads may build an index; searching takes as many as the contestant says.
    """

    faces: FloatArray
    threshold: float
    home: Path
    work: Path
    build_threads: int

    @cached_property
    def copy(self) -> Path:
        """The folder of the copied site; the kept one gives up its place in the machine's page cache."""
        copied = Path(shutil.copytree(self.home, self.work / "home"))
        for path in (one for one in self.home.rglob("*") if one.is_file()):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return copied

    @cached_property
    def site(self) -> Site:
        """The copied site, opened once."""
        return Site.open(self.copy)

    def close(self) -> None:
        """Close the site, if it was opened."""
        if "site" in self.__dict__:
            self.site.close()


class Contestant(Protocol):
    """Something that says who a probe is.

    Attributes:
        packages: whose versions are written into the results.
        gated: whether consent, seal and signature are checked for every answer.
        threads: that a search may use.
        batch: how many probes are asked together.
        efforts: what can be tuned, from quick to thorough; empty if nothing.
    """

    packages: ClassVar[Sequence[str]] = ()
    gated: ClassVar[bool] = False
    threads: ClassVar[int] = 1
    batch: ClassVar[int] = 1
    efforts: ClassVar[Sequence[int]] = ()

    @classmethod
    @abstractmethod
    def build(cls, scene: Scene) -> Self:
        """Hold everybody's face.

        Raises:
            ImportError: what it needs is not there.
        """
        ...

    @abstractmethod
    def identify(self, probe: FloatArray) -> Answer:
        """Answer one probe."""
        ...

    def identify_many(self, probes: Sequence[FloatArray]) -> Sequence[Answer]:
        """Answer `batch` probes."""
        return [self.identify(probe) for probe in probes]

    def tune(self, effort: int) -> None:
        """Search as thoroughly as one of `efforts` says."""
        raise NotImplementedError

    @abstractmethod
    def size_bytes(self) -> int:
        """Return the memory that searching needs, as far as the contestant can tell."""
        ...

    def settings(self) -> Mapping[str, int | str]:
        """Return what the result depends on, for the record."""
        return {}

    def close(self) -> None:
        """Give everything back."""
        return
