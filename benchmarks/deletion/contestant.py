"""Protocol of a contestant: the operations that the scenario calls on each of them in the same way."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

Kept = Mapping[str, Mapping[int, bytes]]
"""Byte values that a contestant stores about people: by kind, then by person."""

THRESHOLD = 0.5
"""Lowest cosine similarity that counts as the same person, for every contestant."""


class Contestant(Protocol):
    """A store of faces in a folder, open in this process.

    Attributes:
        packages: those whose versions are written into the results.
        kept_as: how it stores a face, in a few words, for the table.
        maintenance: what `maintain` does, in a few words, for the table.
    """

    packages: ClassVar[Sequence[str]]
    kept_as: ClassVar[str]
    maintenance: ClassVar[str]

    @classmethod
    @abstractmethod
    def open(cls, folder: Path, dimension: int) -> Self:
        """Open the store in a folder; make it if it is not there. Raise if the store refuses."""
        ...

    @abstractmethod
    def enroll(self, person: int, face: FloatArray) -> None:
        """Store a face, a unit vector, under a number. The caller overwrites `face` afterwards."""
        ...

    def save(self) -> None:
        """Make all enrollments so far durable, if `enroll` does not."""
        return

    @abstractmethod
    def identify(self, probe: FloatArray) -> int | None:
        """Identify a probe: return the person, or None below `THRESHOLD`."""
        ...

    @abstractmethod
    def delete(self, person: int) -> None:
        """Delete a person as the documentation says. When this returns, the deletion is durable."""
        ...

    @abstractmethod
    def maintain(self) -> None:
        """Run the maintenance that a careful operator would run after deletions, so that less is left."""
        ...

    @abstractmethod
    def backup(self, backup: Path) -> None:
        """Write a backup into an empty folder by the usual method, while the store is open."""
        ...

    @classmethod
    @abstractmethod
    def restore(cls, folder: Path, backup: Path) -> None:
        """Restore a backup by copying files, while the store is closed."""
        ...

    def processes(self) -> Sequence[int]:
        """Return the process ids of the servers of this contestant, without this process."""
        return []

    def facts(self) -> Mapping[str, str]:
        """Return settings that the result depends on, for the record."""
        return {}

    @classmethod
    def witness(cls, folder: Path, dimension: int, faces: Mapping[int, FloatArray]) -> Kept:
        """Return the stored values about people other than the embedding. Runs in a separate process."""
        del folder, dimension, faces
        return {}

    @abstractmethod
    def close(self) -> None:
        """Close the store, and stop its servers."""
        ...
