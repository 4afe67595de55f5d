"""usearch with its function `remove`."""

import gc
import shutil
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
from usearch.index import Index

from benchmarks.deletion.contestant import THRESHOLD, Contestant, FloatArray

_INDEX = "people.usearch"


@final
class UsearchIndex(Contestant):
    """The index in memory and in a file, in single precision."""

    packages: ClassVar = ("usearch", "numpy")
    kept_as: ClassVar = "float32 in the graph"
    maintenance: ClassVar = "index rebuilt from the entries not removed, and saved"

    def __init__(self, folder: Path, dimension: int) -> None:
        """Load or make the index."""
        self._path = folder / _INDEX
        self._dimension = dimension
        self._index = self._empty()
        if self._path.exists():
            self._index.load(str(self._path))

    @classmethod
    def open(cls, folder: Path, dimension: int) -> Self:
        """See `Contestant`."""
        return cls(folder, dimension)

    def enroll(self, person: int, face: FloatArray) -> None:
        """See `Contestant`."""
        self._index.add(person, face, threads=1)

    def save(self) -> None:
        """Write the index."""
        draft = self._path.with_suffix(".new")
        self._index.save(str(draft))
        draft.replace(self._path)

    def identify(self, probe: FloatArray) -> int | None:
        """See `Contestant`."""
        found = self._index.search(probe, 1, threads=1)
        return int(found.keys[0]) if len(found.keys) and 1 - found.distances[0] >= THRESHOLD else None

    def delete(self, person: int) -> None:
        """Remove and write."""
        self._index.remove(person)
        self.save()

    def maintain(self) -> None:
        """See `maintenance`. The Python package has no compaction."""
        fresh = self._empty()
        for person in sorted(int(key) for key in np.asarray(self._index.keys)):
            fresh.add(person, self._index.get(person), threads=1)
        self._index = fresh
        gc.collect()
        self.save()

    def backup(self, backup: Path) -> None:
        """Copy the file."""
        shutil.copyfile(self._path, backup / _INDEX)

    @classmethod
    def restore(cls, folder: Path, backup: Path) -> None:
        """Copy the file back."""
        shutil.copyfile(backup / _INDEX, folder / _INDEX)

    def close(self) -> None:
        """Nothing is held open."""

    def _empty(self) -> Any:  # noqa: ANN401  its types do not say what a search of one vector returns
        return Index(ndim=self._dimension, metric="ip", dtype="f32")
