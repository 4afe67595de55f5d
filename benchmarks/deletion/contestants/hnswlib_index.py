"""hnswlib with mark_deleted, the only deletion that it offers."""

import gc
import shutil
from pathlib import Path
from typing import Any, ClassVar, Self, final

import hnswlib
import numpy as np

from benchmarks.deletion.contestant import THRESHOLD, Contestant, FloatArray

_INDEX = "people.hnsw"
_MOST_PEOPLE = 4096


@final
class HnswlibIndex(Contestant):
    """The index in memory and in a file."""

    packages: ClassVar = ("hnswlib", "numpy")
    kept_as: ClassVar = "float32 in the graph"
    maintenance: ClassVar = "index rebuilt from the entries not marked, and saved"

    def __init__(self, folder: Path, dimension: int) -> None:
        """Load or make the index."""
        self._path = folder / _INDEX
        self._dimension = dimension
        self._index = self._empty(load=self._path.exists())

    @classmethod
    def open(cls, folder: Path, dimension: int) -> Self:
        """See `Contestant`."""
        return cls(folder, dimension)

    def enroll(self, person: int, face: FloatArray) -> None:
        """See `Contestant`."""
        self._index.add_items(face[None], [person])

    def save(self) -> None:
        """Write the index."""
        draft = self._path.with_suffix(".new")
        self._index.save_index(str(draft))
        draft.replace(self._path)

    def identify(self, probe: FloatArray) -> int | None:
        """See `Contestant`."""
        ids, distances = self._index.knn_query(probe[None], k=1)
        return int(ids[0, 0]) if 1 - distances[0, 0] >= THRESHOLD else None

    def delete(self, person: int) -> None:
        """Mark and write."""
        self._index.mark_deleted(person)
        self.save()

    def maintain(self) -> None:
        """See `maintenance`."""
        fresh = self._empty()
        for person in sorted(self._index.get_ids_list()):
            try:
                face = self._index.get_items([person])
            except RuntimeError:
                continue  # marked
            fresh.add_items(np.asarray(face, dtype=np.float32), [person])
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

    def _empty(self, *, load: bool = False) -> Any:  # noqa: ANN401  hnswlib ships no types
        index = hnswlib.Index(space="ip", dim=self._dimension)
        index.set_num_threads(1)
        if load:
            index.load_index(str(self._path), max_elements=_MOST_PEOPLE)
        else:
            index.init_index(max_elements=_MOST_PEOPLE, ef_construction=200, M=16)
        index.set_ef(256)
        return index
