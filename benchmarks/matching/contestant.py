"""Protocol of a contestant: the operations that the benchmark calls on each of them in the same way."""

import os
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, Self

from benchmarks.matching.faces import FloatArray
from volens import Site
from volens.index import FlatEngine, Galleries


class Answer(NamedTuple):
    """Result of an identification: the person's row or None, and the number of sealed embeddings opened for it."""

    row: int | None
    opened: int | None = None


@dataclass(eq=False)
class Scene:
    """Data that all contestants of one run share.

    Attributes:
        faces: of all enrolled people, float32 (n, d), unit norm; read, never written.
        threshold: lowest cosine similarity that counts as the same person.
        home: the site in which all are enrolled; reference n + 1 is face n. It is not changed: `site` is a copy.
        work: an empty folder.
        build_threads: number of threads that may build an index; a search uses the number that the contestant declares.
    """

    faces: FloatArray
    threshold: float
    home: Path
    work: Path
    build_threads: int
    _galleries: dict[int, Galleries] = field(default_factory=dict)

    @cached_property
    def copy(self) -> Path:
        """The folder of the copied site; the original is dropped from the page cache of the machine."""
        copied = Path(shutil.copytree(self.home, self.work / "home"))
        for path in (one for one in self.home.rglob("*") if one.is_file()):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return copied

    @cached_property
    def site(self) -> Site:
        """The copied site, opened once."""
        return Site.open(self.copy)

    def galleries(self, threads: int) -> Galleries:
        """Return the galleries of the site with so many threads for a scan; shared, so that memory holds them once."""
        if threads not in self._galleries:
            store = self.site.installation.store
            self._galleries[threads] = Galleries(store, lambda bits: FlatEngine(bits, threads=threads))
        return self._galleries[threads]

    def close(self) -> None:
        """Close the site, if it was opened."""
        if "site" in self.__dict__:
            self.site.close()


class Contestant(Protocol):
    """A matcher that identifies probes.

    Attributes:
        packages: those whose versions are written into the results.
        gated: whether consent, seal and signature are checked for every answer.
        threads: that a search may use.
        batch: number of probes in one search.
        efforts: values of the tuning parameter, from quick to thorough; empty if there is none.
    """

    packages: ClassVar[Sequence[str]] = ()
    gated: ClassVar[bool] = False
    threads: ClassVar[int] = 1
    batch: ClassVar[int] = 1
    efforts: ClassVar[Sequence[int]] = ()

    @classmethod
    @abstractmethod
    def build(cls, scene: Scene) -> Self:
        """Take the faces of all enrolled people.

        Raises:
            ImportError: a package that it needs is not installed.
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
        """Set the tuning parameter to one of `efforts`."""
        raise NotImplementedError

    @abstractmethod
    def size_bytes(self) -> int:
        """Return the bytes of memory that a search needs, as far as the contestant knows."""
        ...

    def settings(self) -> Mapping[str, int | str]:
        """Return the settings that the result depends on, for the record."""
        return {}

    def close(self) -> None:
        """Close the contestant, and free its memory."""
        return
