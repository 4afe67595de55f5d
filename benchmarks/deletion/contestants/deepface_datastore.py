"""deepface's own datastore on SQLite: its register, build_index and search, with the face model left out.

Only `represent`, which turns a photo into an embedding, is replaced, by one that returns a given embedding;
everything from there on is deepface's code. deepface has no function that deletes, so the row is deleted by SQL.
"""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self, final

# deepface makes a folder for its weights and logs to the console; a benchmark needs neither.
os.environ.setdefault("DEEPFACE_LOG_LEVEL", "40")

import numpy as np
from deepface.modules import datastore

from benchmarks.deletion.contestant import Contestant, FloatArray

_DATA: Final = "deepface.sqlite"
_CRITERIA: Final[dict[str, Any]] = {"model_name": "Facenet512", "detector_backend": "skip", "l2_normalize": True}


@final
class DeepfaceDatastore(Contestant):
    """Rows and an HNSW index as a blob, both in one SQLite file. Its own threshold decides."""

    packages: ClassVar = ("deepface", "faiss-cpu", "numpy")
    kept_as: ClassVar = "float64 in rows, float32 in the index blob"
    maintenance: ClassVar = "index blob deleted and rebuilt; VACUUM"

    def __init__(self, folder: Path) -> None:
        """Open or make the file."""
        self._connection = sqlite3.connect(folder / _DATA)
        self._given: FloatArray | None = None
        self._indexed = True
        datastore.represent = self._represent

    @classmethod
    def open(cls, folder: Path, dimension: int) -> Self:
        """See `Contestant`."""
        del dimension
        return cls(folder)

    def enroll(self, person: int, face: FloatArray) -> None:
        """Register. The picture is grey noise of the person's number: deepface stores it too."""
        self._given = face
        datastore.register(
            img=np.random.default_rng(person).random((8, 8, 3)),
            img_name=f"person {person}",
            database_type="sqlite",
            connection=self._connection,
            **_CRITERIA,
        )
        self._given = None

    def save(self) -> None:
        """Build the index."""
        datastore.build_index(database_type="sqlite", connection=self._connection, **_CRITERIA)

    def identify(self, probe: FloatArray) -> int | None:
        """Search by the index, as deepface does for many people; an id without a row is a match without a name."""
        self._given = probe
        found = datastore.search(
            img=np.zeros((8, 8, 3)),
            distance_metric="cosine",
            search_method="ann",
            k=1,
            return_type="dict",
            database_type="sqlite",
            connection=self._connection,
            **_CRITERIA,
        )
        self._given = None
        # Ids are given in the order of enrollment, from 1.
        return int(found[0][0]["id"]) - 1 if found and found[0] else None

    def delete(self, person: int) -> None:
        """Delete the row; deepface has no function for more."""
        with self._connection:
            self._connection.execute("DELETE FROM embeddings WHERE img_name = ?", (f"person {person}",))

    def maintain(self) -> None:
        """See `maintenance`."""
        with self._connection:
            self._connection.execute("DELETE FROM embeddings_index")
        self._connection.execute("VACUUM")
        self.save()

    def backup(self, backup: Path) -> None:
        """SQLite's own backup."""
        with sqlite3.connect(backup / _DATA) as copy:
            self._connection.backup(copy)
        copy.close()

    @classmethod
    def restore(cls, folder: Path, backup: Path) -> None:
        """Copy the file back."""
        shutil.copyfile(backup / _DATA, folder / _DATA)

    def facts(self) -> Mapping[str, str]:
        """See `Contestant`."""
        pragmas = {
            name: str(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("secure_delete", "journal_mode")
        }
        return {"sqlite": sqlite3.sqlite_version, **pragmas}

    def close(self) -> None:
        """See `Contestant`."""
        self._connection.close()

    def _represent(self, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401  deepface's signature
        if self._given is None:
            raise RuntimeError("got a call of the model without an embedding; set it first")
        return [{"embedding": self._given.tolist(), "facial_area": {}, "face": np.asarray(asked["img_path"])}]
