"""One site twice, with the same people: in files, and on a database server with homes of several nodes.

People are enrolled in files, in bulk (`benchmarks.matching.population`); keys, receipts, secrets, seals and log are
real. Then a copy is moved to the server, as `volens store copy` does, which proves that every seal and every embedding
opens.
A prepared site is kept in a folder and used again.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self, final

import numpy as np

import volens.store
from benchmarks.fleet.database_server import DatabaseServer, database_server
from benchmarks.fleet.recorded_faces import FloatArray, RecordedFaces, draw
from benchmarks.latency.distances import plain_connection
from benchmarks.matching.population import ZONE, fill
from volens import Site
from volens.site_moving import move_to
from volens.store import join_home, server_databases, utc_now
from volens.store.programs import Role
from volens.store.site_databases import write_databases

HISTORY_DAYS: Final = 90
"""Each visit is recorded, as in a zone that keeps a match history."""
_REPORT_EVERY: Final = 0.1


@final
@dataclass(frozen=True, slots=True)
class SiteSize:
    """What is prepared.

    Attributes:
        people: enrolled, each with one reference.
        doors: credentials of doors.
        newcomers: people who will enroll.
        nodes: homes of nodes on the server.
        seed: of the faces.
    """

    people: int
    doors: int
    newcomers: int
    nodes: int
    seed: int


@final
@dataclass(frozen=True, slots=True)
class PreparedSite:
    """A site that is ready; nothing runs.

    Attributes:
        files: the home with the databases in files.
        nodes: the homes of nodes, the first is that which was moved.
        doors: tokens of the doors.
        desk: token of a desk.
        faces: the file of the recorded faces.
    """

    folder: Path
    size: SiteSize
    files: Path
    nodes: list[Path]
    doors: list[str]
    desk: str
    faces: Path

    @classmethod
    def made(cls, folder: Path, size: SiteSize, said: Callable[[str], None]) -> Self:
        """Return the site in a folder; what is missing of it, or of another size or schema, is made first.

        Raises:
            ValueError: the folder has something else in it.
        """
        of_files, of_server = folder / "files.json", folder / "server.json"
        wanted = {"size": asdict(size), "schema": _schema()}
        kept = _read(of_files)
        if any(kept.get(name) != value for name, value in wanted.items()):
            if folder.exists() and any(folder.iterdir()) and not of_files.exists():
                raise ValueError(f"got {folder}, which has other files in it; give an empty folder")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _write(of_files, {})  # the folder is ours, also if this run is ended
            kept = wanted | _fill_files(folder, size, said)
            _write(of_files, kept)
        if not of_server.exists():
            _fill_server(folder, size, said)
            _write(of_server, {"nodes": size.nodes})
        nodes = [_node_home(folder, number) for number in range(size.nodes)]
        return cls(folder, size, _files_home(folder), nodes, kept["doors"], kept["desk"], folder / kept["faces"])

    def enrolled(self) -> FloatArray:
        """Return the faces as they were enrolled."""
        return _enrolled(self.size)

    @contextmanager
    def server(self) -> Generator[DatabaseServer]:
        """Run the database server, and let the homes of the nodes name its present port."""
        with database_server(self.folder / "server") as server:
            for home in self.nodes:
                write_databases(home, server_databases(str(server.url)))
            yield server


def _fill_files(folder: Path, size: SiteSize, said: Callable[[str], None]) -> dict[str, Any]:
    """Make the site in files, and return the tokens of its doors and its desk."""
    enrolled, home = _enrolled(size), _files_home(folder)
    faces = RecordedFaces.made(enrolled, size.newcomers, size.seed).write(folder)
    with _timed(f"enrolling {size.people:,} people in files", said):
        fill(home, enrolled, match_history_days=HISTORY_DAYS)
    with Site.open(home) as site:
        issue = site.programs.credentials.issue
        doors = [issue(label=f"door {one}", role=Role.DOOR, zone=ZONE)[1].reveal() for one in range(size.doors)]
        desk = issue(label="desk", role=Role.DESK)[1].reveal()
    return {"doors": doors, "desk": desk, "faces": faces.name}


def _fill_server(folder: Path, size: SiteSize, said: Callable[[str], None]) -> None:
    """Move a copy of the site in files to a new server, and make the homes of further nodes."""
    homes = [_node_home(folder, number) for number in range(size.nodes)]
    for left in (folder / "server", *(home.parent for home in homes)):  # of a run that was ended
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(_files_home(folder), homes[0])
    with database_server(folder / "server") as server:
        databases = server_databases(str(server.url))
        with _timed("moving a copy to the server", said):
            move_to(homes[0], databases, clock=utc_now, random=os.urandom, progress=_Percent(said).advance)
        root_key = f"file:{homes[0] / 'root.key'}"
        for home in homes[1:]:
            join_home(home, databases, clock=utc_now, random=os.urandom, root_key_url=root_key)
        with _timed("vacuuming, once after so many rows", said), plain_connection(server.url) as connection:
            connection.execute("VACUUM (ANALYZE)")


def _enrolled(size: SiteSize) -> FloatArray:
    return draw(size.people, np.random.default_rng([size.seed, 0]))


def _node_home(folder: Path, number: int) -> Path:
    return folder / f"node-{number + 1}" / "home"


def _schema() -> str:
    """Return a digest of the modules that make tables and rules: a site that others made does not open."""
    store = Path(str(volens.store.__file__)).parent
    modules = sorted(one for room in ("schema", "sqlite", "postgres") for one in (store / room).rglob("*.py"))
    return sha256(b"".join(one.read_bytes() for one in modules)).hexdigest()


def _files_home(folder: Path) -> Path:
    return folder / "files" / "home"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document) + "\n", encoding="utf-8")


@contextmanager
def _timed(what: str, said: Callable[[str], None]) -> Generator[None]:
    said(what)
    began = time.monotonic()
    yield
    said(f"{what}: {time.monotonic() - began:.0f} s")


class _Percent:
    """Says how far a copy is, every tenth."""

    def __init__(self, said: Callable[[str], None]) -> None:
        self._said, self._next = said, 0.0

    def advance(self, done: int, total: int) -> None:
        if total and done / total >= self._next:
            self._said(f"  {done:,} of {total:,} rows")
            self._next = done / total + _REPORT_EVERY


def said_on_stderr(what: str) -> None:
    """Report what is being done."""
    print(what, file=sys.stderr, flush=True)
