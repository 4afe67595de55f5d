"""Identifications and visits of one site, or of its copy in files, over several ways to the database, in turn."""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from sqlalchemy import URL, func, make_url, select

from benchmarks.enrolling import enroll_face
from benchmarks.scaling.doors import MODEL, THRESHOLD
from volens import Site
from volens.consent import (
    ConsentedEmbedding,
    ProbeEmbedding,
    Purpose,
    ReceiptId,
    SubjectKey,
    UnitVector,
    permit_probe,
)
from volens.consent.embedding import FloatArray
from volens.identify.visit_recorder import VisitRecorder
from volens.index import identify
from volens.service.sample_notice import publish_sample_notice
from volens.store import server_databases
from volens.store.people import VisitKind
from volens.store.schema import data_tables
from volens.store.site_databases import write_databases
from volens.store.system_clock import utc_now

DIMENSION: Final = 128
WARM: Final = 10
TURNS_FOR_A_VISIT: Final = 5
"""For so many turns of identifications, one visit is written afterwards."""
DOOR: Final = Purpose("door")
DELAYS_MS: Final = {"TCP through the proxy": 0.0, "+ 1 ms": 1.0, "+ 5 ms": 5.0}
"""Ways over the proxy, and the milliseconds that it adds to each round trip."""

_Nanoseconds = dict[str, list[int]]


class _MovedClock:
    """The time of this machine, ahead by the minutes that it was moved: each visit is in a minute of its own."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def move(self) -> None:
        """Go on to the next minute."""
        self._ahead += timedelta(minutes=1)


def observe(folder: Path, server: URL, people: int, turns: int, seed: int) -> dict[str, Any]:
    """Return the nanoseconds of whole identifications, of bare round trips, of zones read and of visits written.

    Args:
        folder: empty, for the homes.
        server: URL of a PostgreSQL database without a site, over a Unix socket.
        people: enrolled, each with one reference.
        turns: identifications for each way; each turn uses all ways, with the same face.
        seed: of the faces.
    """
    clock, rng = _MovedClock(), np.random.default_rng(seed)
    faces = [_face(rng) for _ in range(people)]
    with ExitStack() as open_until_the_end:
        sites = {"files": open_until_the_end.enter_context(_filled(folder / "files", faces, None, clock))}
        routes = {"PostgreSQL, Unix socket": server}
        with _filled(folder / "server", faces, server, clock):
            pass  # closed: further nodes have homes of their own
        for way, delay_ms in DELAYS_MS.items():
            port = open_until_the_end.enter_context(_proxy(server, delay_ms / 2000))
            routes[way] = server.difference_update_query(["host"]).set(host="127.0.0.1", port=port)
        for way, url in routes.items():
            write_databases(folder / "server", server_databases(_text(url)))
            sites[way] = open_until_the_end.enter_context(Site.open(folder / "server", clock=clock))
        pings = {way: open_until_the_end.enter_context(plain_connection(url)) for way, url in routes.items()}
        identify_ns, zone_ns, visit_ns = ({way: list[int]() for way in sites} for _ in range(3))
        trip_ns: _Nanoseconds = {way: [] for way in routes}
        for site in sites.values():
            _decide(site, faces[0])
            while site.feed.fill_hot_sets():
                pass
        for turn in range(WARM + turns):
            for way, site in sites.items():
                identify_ns[way].append(_decide(site, faces[turn % people])[0])
                zone_ns[way].append(_read_zone(site))
            for way, connection in pings.items():
                trip_ns[way].append(trip(connection))
        visits = (WARM + turns) // TURNS_FOR_A_VISIT
        for turn in range(visits):
            for way, site in sites.items():
                clock.move()
                visit_ns[way].append(_write_visit(site, _decide(site, faces[turn % people])[1]))
        _check_visits(sites, visits, len(routes))
    return {
        "people": people,
        "dimension": DIMENSION,
        "identify_ns": {way: times[WARM:] for way, times in identify_ns.items()},
        "trip_ns": {way: times[WARM:] for way, times in trip_ns.items()},
        "zone_ns": {way: times[WARM:] for way, times in zone_ns.items()},
        "visit_ns": {way: times[WARM // TURNS_FOR_A_VISIT :] for way, times in visit_ns.items()},
    }


@contextmanager
def _filled(home: Path, faces: Sequence[FloatArray], url: URL | None, clock: _MovedClock) -> Generator[Site]:
    databases = None if url is None else server_databases(_text(url))
    with Site.create(home, name="benchmark", contact="tester", databases=databases, clock=clock) as site:
        site.add_zone("door", custody="operator", justification="measured", alternative="none", retention_days=30)
        site.declarations.declare_zone("door", {"works_agreement": "2024-01-15", "dpia": "2024-01-15"})
        notice = publish_sample_notice(site, "door", more="benchmark")
        for face in faces:
            key = SubjectKey.from_seed(os.urandom(32))
            receipt = site.give_consent(notice, name="person", jurisdiction="FR", key=key).receipt
            vector = UnitVector.normalised(face)
            enroll_face(site.installation.store, receipt, partial(ConsentedEmbedding, vector=vector, model_id=MODEL))
        yield site


def _decide(site: Site, face: FloatArray) -> tuple[int, ReceiptId]:
    """Identify a person who is enrolled; return the nanoseconds, and whose consent it was."""
    store, galleries = site.installation.store, site.installation.galleries
    probe = ProbeEmbedding(permit_probe(site.zones.get("door")), UnitVector.normalised(face), MODEL)
    start = time.perf_counter_ns()
    decision = identify(store, galleries, probe, THRESHOLD, store.now())
    took = time.perf_counter_ns() - start
    if decision.match is None:
        raise RuntimeError("a person who is enrolled was not identified")
    return took, decision.match.receipt_id


def _read_zone(site: Site) -> int:
    """Read the zone, as each frame of a door does before a face is looked for; return the nanoseconds."""
    start = time.perf_counter_ns()
    site.installation.galleries.zone(DOOR)
    return time.perf_counter_ns() - start


def _write_visit(site: Site, receipt_id: ReceiptId) -> int:
    """Write the beginning of a visit; return the nanoseconds."""
    visits = VisitRecorder(site.installation.store)
    start = time.perf_counter_ns()
    visits.record([receipt_id], VisitKind.IDENTIFIED, MODEL)
    return time.perf_counter_ns() - start


def _check_visits(sites: dict[str, Site], visits: int, routes: int) -> None:
    """Check that each visit was written: an error does not keep a door shut, so none was raised."""
    for way, expected in (("files", visits), (next(reversed(sites)), visits * routes)):
        with sites[way].installation.store.read() as connection:
            found = connection.scalar(select(func.count()).select_from(data_tables.passage))
        if found != expected:
            raise RuntimeError(f"{found} visits of {expected} were written")


@contextmanager
def _proxy(server: URL, delay_s: float) -> Generator[int]:
    """Run a proxy in a process of its own, which does not share our interpreter; yield its port."""
    host, port = str(server.query.get("host", server.host)), str(server.port or 5432)
    command = (sys.executable, "-m", "benchmarks.latency.delaying_proxy", host, port, str(delay_s))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:  # noqa: S603
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the proxy has no pipes")
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()  # it ends then


@contextmanager
def plain_connection(url: URL) -> Generator[psycopg.Connection[Any]]:
    """Connect to the database of a URL without anything of ours."""
    plain = make_url(_text(url)).set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


def trip(connection: psycopg.Connection[Any]) -> int:
    """Return the nanoseconds of a bare round trip."""
    start = time.perf_counter_ns()
    connection.execute("SELECT 1")
    return time.perf_counter_ns() - start


def _face(rng: np.random.Generator) -> FloatArray:
    face = rng.standard_normal(DIMENSION).astype(np.float32)
    return np.asarray(face / np.linalg.norm(face), dtype=np.float32)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
