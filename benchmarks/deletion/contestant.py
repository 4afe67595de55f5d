"""What a contestant can do: a small protocol, so that all of them are asked the same."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

Kept = Mapping[str, Mapping[int, bytes]]
"""What is kept of people: by kind, then by person."""

THRESHOLD = 0.5
"""Lowest cosine similarity that counts as the same person, for every contestant."""


class Contestant(Protocol):
    """A store of faces in a folder, open in this process.

    Attributes:
        packages: whose versions are written into the results.
        kept_as: how it keeps a face, in a few words, for the table.
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
        """Keep a face, a unit vector, under a number. The caller overwrites `face` afterwards."""
        ...

    def save(self) -> None:
        """Make everybody enrolled so far durable, where `enroll` does not."""
        return

    @abstractmethod
    def identify(self, probe: FloatArray) -> int | None:
        """Return who a probe is, or None; `THRESHOLD` decides."""
        ...

    @abstractmethod
    def delete(self, person: int) -> None:
        """Delete a person as the documentation says. When this returns, the deletion is durable."""
        ...

    @abstractmethod
    def maintain(self) -> None:
        """Do what a careful user would do afterwards, with what the contestant offers, so that less is left."""
        ...

    @abstractmethod
    def backup(self, backup: Path) -> None:
        """Write a backup into an empty folder, as one usually would, while the store is open."""
        ...

    @classmethod
    @abstractmethod
    def restore(cls, folder: Path, backup: Path) -> None:
        """Put a backup back in place by hand, while the store is closed."""
        ...

    def processes(self) -> Sequence[int]:
        """Return the process ids of servers that this contestant keeps, besides this process."""
        return []

    def facts(self) -> Mapping[str, str]:
        """Return settings that the result depends on, for the record."""
        return {}

    @classmethod
    def witness(cls, folder: Path, dimension: int, faces: Mapping[int, FloatArray]) -> Kept:
        """Return what else is kept of people besides the embedding. Runs in a process of its own."""
        del folder, dimension, faces
        return {}

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""
        ...
