"""One run: the same people in files and on a server, identified by one process, by nodes, and by many doors.

1. In one process, a site in files and one on the server, in turn: identifications, and whole frames.
2. One node on files, then 1, 2, 4 nodes on the server, with a few doors that send frames without a pause: of a person
   whose visit goes on, which writes nothing; and of another person each time, which begins a visit.
3. Many doors in front of the node on files, and of nodes on the server: people arrive at rates that rise.
4. Newcomers who enroll and withdraw, without doors, and while people arrive.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from sqlalchemy import URL, func, select

from benchmarks.fleet.people_at_desk import come_and_go
from benchmarks.fleet.prepared_site import PreparedSite
from benchmarks.fleet.processor_time import Groups, counted, wait_until_idle
from benchmarks.fleet.recorded_faces import (
    MODEL,
    THRESHOLD,
    RecordedFaces,
    frame_of,
    photo_of,
    recorded_extractor,
)
from benchmarks.fleet.simulated_doors import Arrival, poisson_arrivals, run_doors
from benchmarks.latency.distances import plain_connection, trip
from benchmarks.load.service import Service
from benchmarks.matching.population import ZONE
from volens import Site
from volens.consent import ProbeEmbedding, UnitVector, permit_probe
from volens.face import RgbImage, decode
from volens.index import identify
from volens.store.schema import data_tables as tables

FILES, SERVER = "files", "PostgreSQL"
GOES_ON, BEGINS = "goes on", "begins"
"""The visit of the person in a frame."""

_PATIENCE_S: Final = 600.0
_STRANGERS_SHARE: Final = 0.05


@final
@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What is measured.

    Attributes:
        turns: identifications in one process, for each database.
        nodes: numbers of nodes on the server, rising.
        busy_doors: doors for each node that send frames without a pause.
        seconds: of each measurement with doors; three times as long while newcomers come and go.
        doors: number of doors at which people arrive.
        doors_at: number of nodes that these doors talk to; one of `nodes`.
        rates: people that arrive in a second, at all doors together.
        newcomers: how many come and go without doors.
        beside: the rate beside which they come and go.
        frames: number of different people who are seen; then they come again.
        model_threads: of each node.
    """

    turns: int = 1000
    nodes: tuple[int, ...] = (1, 2, 4)
    busy_doors: int = 16
    seconds: float = 20
    doors: int = 500
    doors_at: int = 2
    rates: tuple[float, ...] = (25, 50, 100, 150, 200, 300, 400, 25)
    newcomers: int = 5
    beside: float = 100
    frames: int = 30_000
    model_threads: int = 2


def observe(site: PreparedSite, plan: FleetPlan, said: Callable[[str], None]) -> dict[str, Any]:
    """Return all observations of a run."""
    run = _Run(site, plan, said)
    with site.server() as server:
        with plain_connection(server.url) as connection:
            version = connection.info.server_version
        in_process = run.in_process(server.url)
        run.groups["database"] = server.pids
        with run.nodes(FILES, [site.files]):
            run.with_busy_doors()
            run.with_many_doors()
            run.with_newcomers()
        with ExitStack() as kept:
            for count in plan.nodes:
                kept.enter_context(run.nodes(SERVER, site.nodes[len(run.services) : count]))
                run.with_busy_doors()
                if count == plan.doors_at:
                    run.with_many_doors()
                    run.with_newcomers()
    return {
        "server_version": f"{version // 10_000}.{version % 10_000}",
        "in_process": in_process,
        "busy_doors": run.busy,
        "many_doors": run.many,
        "newcomers": run.newcomers,
    }


@final
class _Run:
    def __init__(self, site: PreparedSite, plan: FleetPlan, said: Callable[[str], None]) -> None:
        self._site, self._plan, self._said = site, plan, said
        self._faces = RecordedFaces.read(site.faces)
        said("drawing frames")
        rng = np.random.default_rng([site.size.seed, 2])
        known = rng.permutation(self._faces.recognised(site.enrolled()))[: plan.frames].tolist()
        strangers = list(self._faces.strangers())[: max(1, plan.frames // 100)]
        self._frames = {one: frame_of(one) for one in (*known, *strangers)}
        self._photos = [[photo_of(one) for one in photos] for photos in self._faces.newcomers()]
        self._known, self._strangers = known, strangers
        self._next_known = itertools.cycle(known)
        self._rng = rng
        self._where, self._home = "", site.files
        self.services: list[Service] = []
        self.groups: dict[str, Callable[[], Iterable[int]]] = {"doors": lambda: [os.getpid()], "nodes": self._pids}
        self.busy: list[dict[str, Any]] = []
        self.many: list[dict[str, Any]] = []
        self.newcomers: list[dict[str, Any]] = []

    def in_process(self, url: URL) -> dict[str, Any]:
        """Do step 1 of the module."""
        found: dict[str, dict[str, list[int]]] = {
            where: {"identify_ns": [], "begins_ns": [], "goes_on_ns": []} for where in (FILES, SERVER)
        }
        trips: list[int] = []
        with ExitStack() as kept:
            ping = kept.enter_context(plain_connection(url))
            sites = {
                FILES: kept.enter_context(self._opened(self._site.files)),
                SERVER: kept.enter_context(self._opened(self._site.nodes[0])),
            }
            self._said("identifying in one process")
            warm = self._plan.turns // 10
            for turn in range(warm + self._plan.turns):
                number = self._known[turn % len(self._known)]
                image = decode(self._frames[number])
                for where, site in sites.items():
                    found[where]["identify_ns"].append(self._identify(site, number))
                    found[where]["begins_ns"].append(_look(site, image))
                    found[where]["goes_on_ns"].append(_look(site, image))
                trips.append(trip(ping))
        kept_ns = {where: {name: ns[warm:] for name, ns in times.items()} for where, times in found.items()}
        return {**kept_ns, "trip_ns": trips[warm:]}

    @contextmanager
    def nodes(self, where: str, homes: Sequence[Path]) -> Generator[None]:
        """Start nodes besides those that run, and wait until they have read everything into their memory."""
        self._where, self._home = where, homes[0] if not self.services else self._home
        with ExitStack() as kept:
            self._said(f"starting {len(homes)} nodes on {where}")
            program = ("-m", "benchmarks.fleet.node_program", str(self._site.faces))
            new = [Service(home, self._plan.model_threads, program=program) for home in homes]
            for service in new:
                kept.callback(service.kill)
            with ThreadPoolExecutor() as pool:
                list(pool.map(Service.start, new))
            for service in new:
                self.services.append(service)
                kept.callback(self.services.remove, service)
                self._wait_for_gallery(service)
            wait_until_idle(self._servers(), _PATIENCE_S)
            yield

    def _wait_for_gallery(self, service: Service) -> None:
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            stranger = [Arrival(0, self._strangers[0])]
            if run_doors([service.port], self._site.doors, [stranger], self._frames, 1.0).statuses[HTTPStatus.OK]:
                return
        raise TimeoutError("a node has not answered a frame")

    def with_busy_doors(self) -> None:
        """Do step 2 of the module, with the nodes that run."""
        doors = self._plan.busy_doors * len(self.services)
        for visit in (GOES_ON, BEGINS):
            self._said(f"{len(self.services)} nodes on {self._where}, {doors} busy doors, a visit {visit}")
            numbers = [itertools.repeat(one) if visit == GOES_ON else self._next_known for one in self._known[:doors]]
            plans = [(Arrival(0, number) for number in its) for its in numbers]
            self.busy.append(self._observed(plans) | {"visit": visit, "doors": doors})

    def with_many_doors(self) -> None:
        """Do step 3 of the module, with the nodes that run."""
        for rate in self._plan.rates:
            self._said(f"{self._plan.doors} doors, {rate:g} people in a second, on {self._where}")
            self.many.append(self._observed(self._arrivals(rate, self._plan.seconds)) | {"offered_per_s": rate})

    def with_newcomers(self) -> None:
        """Do step 4 of the module, with the nodes that run."""
        come = partial(come_and_go, self.services[0].port, self._site.desk)
        facts = {"where": self._where, "nodes": len(self.services)}
        self._said(f"newcomers on {self._where}, without doors")
        self.newcomers.append(facts | {"beside_per_s": 0.0} | come(self._photos[: self._plan.newcomers]))
        self._said(f"newcomers on {self._where}, while {self._plan.beside:g} people arrive in a second")
        seconds, over = 3 * self._plan.seconds, threading.Event()
        arrivals = self._arrivals(self._plan.beside, seconds)
        with ThreadPoolExecutor(1) as pool:
            times = pool.submit(come, itertools.cycle(self._photos), over.is_set)
            try:
                doors = self._observed(arrivals, seconds)
            finally:
                over.set()
            self.newcomers.append(doors | {"beside_per_s": self._plan.beside} | times.result())

    def _arrivals(self, rate: float, seconds: float) -> list[list[Arrival]]:
        def number() -> int:
            is_stranger = self._rng.random() < _STRANGERS_SHARE
            return int(self._rng.choice(self._strangers)) if is_stranger else next(self._next_known)

        return poisson_arrivals(self._plan.doors, rate, seconds, number, self._rng)

    def _observed(self, plans: Sequence[Iterable[Arrival]], seconds: float | None = None) -> dict[str, Any]:
        seconds = self._plan.seconds if seconds is None else seconds
        ports = [service.port for service in self.services]
        with Site.open(self._home) as site:
            before = _visits(site)
            with counted(self.groups) as processor_s:
                record = run_doors(ports, self._site.doors, plans, self._frames, seconds)
            recorded = _visits(site) - before
        return record.document() | {
            "where": self._where,
            "nodes": len(self.services),
            "seconds": seconds,
            "recorded": recorded,
            "processor_s": {name: round(value, 3) for name, value in processor_s.items()},
        }

    def _servers(self) -> Groups:
        return {name: pids for name, pids in self.groups.items() if name != "doors"}

    def _pids(self) -> list[int]:
        return [pid for service in self.services for pid in service.pids()]

    @contextmanager
    def _opened(self, home: Path) -> Generator[Site]:
        """Open a site with its gallery and hot set in memory."""
        self._said(f"opening {home.parent.name}")
        began = time.monotonic()
        with Site.open(home, load_extractor=lambda: recorded_extractor(self._faces)) as site:
            self._identify(site, self._known[0])
            while site.feed.fill_hot_sets():
                pass
            self._said(f"opening {home.parent.name}: {time.monotonic() - began:.0f} s")
            yield site

    def _identify(self, site: Site, number: int) -> int:
        """Identify a person who is enrolled; return the nanoseconds."""
        store, galleries = site.installation.store, site.installation.galleries
        permit = permit_probe(site.zones.get(ZONE))
        probe = ProbeEmbedding(permit, UnitVector(self._faces.vectors[number]), MODEL.model_id)
        began = time.perf_counter_ns()
        decision = identify(store, galleries, probe, THRESHOLD, store.now())
        took = time.perf_counter_ns() - began
        if decision.match is None:
            raise RuntimeError("a person who is enrolled was not identified")
        return took


def _look(site: Site, image: RgbImage) -> int:
    """Decide about a frame that is decoded, as a door does, with the record of the visit; return the nanoseconds."""
    began = time.perf_counter_ns()
    site.identify(ZONE, image)
    return time.perf_counter_ns() - began


def _visits(site: Site) -> int:
    """Return how many visits are recorded."""
    with site.installation.store.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(tables.passage)) or 0)
