"""Milvus Lite through pymilvus: a collection, delete, flush, compact."""

import gc
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self, final

from pymilvus import MilvusClient

from benchmarks.deletion.contestant import THRESHOLD, Contestant, FloatArray

_DATA: Final = "people.db"
_PEOPLE: Final = "people"


class MilvusCollection(Contestant):
    """A collection in a folder of its own, served inside this process."""

    packages: ClassVar[Sequence[str]] = ("milvus-lite", "pymilvus")
    kept_as: ClassVar[str] = "float32 in data files and log"
    maintenance: ClassVar[str] = "flush, compact, flush"

    def __init__(self, folder: Path, dimension: int) -> None:
        """Open or make the collection."""
        self._path = folder / _DATA
        self._client = MilvusClient(str(self._path))
        self._dimension = dimension
        self._make()

    @classmethod
    def open(cls, folder: Path, dimension: int) -> Self:
        """See `Contestant`."""
        return cls(folder, dimension)

    def enroll(self, person: int, face: FloatArray) -> None:
        """See `Contestant`."""
        self._client.insert(_PEOPLE, [{"id": person, "vector": face}])

    def save(self) -> None:
        """Flush."""
        self._client.flush(_PEOPLE)

    def identify(self, probe: FloatArray) -> int | None:
        """See `Contestant`."""
        (hits,) = self._client.search(_PEOPLE, data=[probe], limit=1)
        return int(hits[0]["id"]) if hits and hits[0]["distance"] >= THRESHOLD else None

    def delete(self, person: int) -> None:
        """Delete; the log makes it durable."""
        self._client.delete(_PEOPLE, ids=[person])

    def maintain(self) -> None:
        """See `maintenance`."""
        self.save()
        job = self._client.compact(_PEOPLE)
        for _ in range(50):
            if str(self._client.get_compaction_state(job)) == "Completed":
                break
            time.sleep(0.1)
        self.save()

    def _make(self) -> None:
        if not self._client.has_collection(_PEOPLE):
            self._client.create_collection(
                _PEOPLE, dimension=self._dimension, metric_type="COSINE", consistency_level="Strong"
            )
        self._client.load_collection(_PEOPLE)

    def backup(self, backup: Path) -> None:
        """Flush, and copy the folder; Milvus Lite has no other backup."""
        self.save()
        shutil.copytree(self._path, backup / _DATA, ignore=shutil.ignore_patterns("LOCK"))

    @classmethod
    def restore(cls, folder: Path, backup: Path) -> None:
        """Copy the folder back."""
        shutil.rmtree(folder / _DATA)
        shutil.copytree(backup / _DATA, folder / _DATA)

    def facts(self) -> Mapping[str, str]:
        """See `Contestant`."""
        return {"index": str(self._client.list_indexes(_PEOPLE))}

    def close(self) -> None:
        """See `Contestant`."""
        self._client.close()


@final
class MilvusRebuilt(MilvusCollection):
    """The same, followed by a rebuild of the collection."""

    maintenance: ClassVar[str] = "collection read, dropped and created again"

    def maintain(self) -> None:
        """See `maintenance`."""
        rows = self._client.query(_PEOPLE, filter="id >= 0", output_fields=["id", "vector"])
        self._client.drop_collection(_PEOPLE)
        self._make()
        self._client.insert(_PEOPLE, [{"id": row["id"], "vector": row["vector"]} for row in rows])
        del rows
        gc.collect()
        self.save()
