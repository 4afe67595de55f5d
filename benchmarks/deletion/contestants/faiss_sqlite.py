"""FAISS IndexIDMap2 over a flat index, with rows in SQLite, as tutorials build it."""

import gc
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, final

import faiss
import numpy as np

from benchmarks.deletion.contestant import THRESHOLD, Contestant, FloatArray

_INDEX = "people.faiss"
_ROWS = "people.sqlite"


class FaissSqlite(Contestant):
    """The index in memory and in a file that is written again after each change; embeddings in the rows as well."""

    packages: ClassVar[Sequence[str]] = ("faiss-cpu", "numpy")
    kept_as: ClassVar[str] = "float32 in index and rows"
    maintenance: ClassVar[str] = "VACUUM; index rebuilt from the rows and saved"
    pragma: ClassVar[str] = ""

    def __init__(self, folder: Path, dimension: int) -> None:
        """Open or make both files."""
        faiss.omp_set_num_threads(1)
        self._folder = folder
        self._dimension = dimension
        self._rows = sqlite3.connect(folder / _ROWS)
        if self.pragma:
            self._rows.execute(self.pragma)
        self._rows.execute("CREATE TABLE IF NOT EXISTS person (id INTEGER PRIMARY KEY, name TEXT, embedding BLOB)")
        path = folder / _INDEX
        self._index: Any = faiss.read_index(str(path)) if path.exists() else self._empty()

    @classmethod
    def open(cls, folder: Path, dimension: int) -> Self:
        """See `Contestant`."""
        return cls(folder, dimension)

    def enroll(self, person: int, face: FloatArray) -> None:
        """See `Contestant`."""
        with self._rows:
            self._rows.execute("INSERT INTO person VALUES (?, ?, ?)", (person, f"person {person}", face.data.cast("B")))
        self._index.add_with_ids(face[None], np.array([person]))

    def save(self) -> None:
        """Write the index."""
        draft = self._folder / f"{_INDEX}.new"
        faiss.write_index(self._index, str(draft))
        draft.replace(self._folder / _INDEX)

    def identify(self, probe: FloatArray) -> int | None:
        """See `Contestant`."""
        scores, ids = self._index.search(probe[None], 1)
        row = self._rows.execute("SELECT id FROM person WHERE id = ?", (int(ids[0, 0]),)).fetchone()
        return row[0] if row is not None and scores[0, 0] >= THRESHOLD else None

    def delete(self, person: int) -> None:
        """Delete the row, take the id out of the index, write the index."""
        with self._rows:
            self._rows.execute("DELETE FROM person WHERE id = ?", (person,))
        self._index.remove_ids(np.array([person]))
        self.save()

    def maintain(self) -> None:
        """See `maintenance`."""
        self._rows.execute("VACUUM")
        fresh = self._empty()
        for person, embedding in self._rows.execute("SELECT id, embedding FROM person"):
            fresh.add_with_ids(np.frombuffer(embedding, dtype=np.float32)[None], np.array([person]))
        self._index = fresh
        gc.collect()
        self.save()

    def backup(self, backup: Path) -> None:
        """Copy the index; SQLite's own backup for the rows."""
        (backup / _INDEX).write_bytes((self._folder / _INDEX).read_bytes())
        with sqlite3.connect(backup / _ROWS) as copy:
            self._rows.backup(copy)
        copy.close()

    @classmethod
    def restore(cls, folder: Path, backup: Path) -> None:
        """Copy both files back."""
        for name in (_INDEX, _ROWS):
            draft = folder / f"{name}.new"
            draft.write_bytes((backup / name).read_bytes())
            os.replace(draft, folder / name)  # noqa: PTH105  one line for both

    def facts(self) -> Mapping[str, str]:
        """See `Contestant`."""
        pragmas = {
            name: str(self._rows.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("secure_delete", "journal_mode")
        }
        return {"sqlite": sqlite3.sqlite_version, "index": "IndexIDMap2(IndexFlatIP)", **pragmas}

    def close(self) -> None:
        """See `Contestant`."""
        self._rows.close()

    def _empty(self) -> Any:  # noqa: ANN401  FAISS ships no types
        return faiss.IndexIDMap2(faiss.IndexFlatIP(self._dimension))


@final
class FaissSqliteOff(FaissSqlite):
    """The same where SQLite is built as its authors ship it; Debian's build turns `secure_delete` on."""

    pragma: ClassVar[str] = "PRAGMA secure_delete = OFF"
