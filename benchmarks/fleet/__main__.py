"""Measure nodes and doors for docs/scaling.md: ``python -m benchmarks.fleet``; ``benchmarks.fleet.page`` writes them.

Raw observations go to results/fleet.json. The site is prepared in a folder first (``--prepare``: only that) and used
again by later runs; 100,000 people take some 25 minutes to prepare.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.fleet.measured_run import FleetPlan, observe
from benchmarks.fleet.prepared_site import PreparedSite, SiteSize, said_on_stderr
from benchmarks.fleet.recorded_faces import DIMENSION, SCORES, THRESHOLD
from benchmarks.machine import machine

RESULTS: Final = Path(__file__).parent / "results" / "fleet.json"
SEED: Final = 20261130
FULL: Final = FleetPlan()
TINY: Final = FleetPlan(
    turns=5,
    nodes=(1,),
    busy_doors=2,
    seconds=0.5,
    doors=6,
    doors_at=1,
    rates=(20,),
    beside=10,
    frames=40,
)
_PACKAGES: Final = ("psycopg", "sqlalchemy", "faiss-cpu", "fastapi", "uvicorn", "cryptography", "numpy")


def size_for(plan: FleetPlan, people: int, newcomers: int) -> SiteSize:
    """Return the size of the site that a plan needs."""
    doors = max(plan.doors, plan.busy_doors * max(plan.nodes))
    return SiteSize(people, doors, newcomers, max(plan.nodes), SEED)


def measured(folder: Path, size: SiteSize, plan: FleetPlan, said: Callable[[str], None]) -> dict[str, Any]:
    """Return the whole document of a run at the site in a folder, which is prepared if it is not there."""
    site = PreparedSite.made(folder, size, said)
    started, load = time.monotonic(), os.getloadavg()[0]
    observed = observe(site, plan, said)
    return {
        "machine": machine() | {"memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")},
        "versions": {name: version(name) for name in _PACKAGES},
        "load_before": load,
        "minutes": (time.monotonic() - started) / 60,
        "size": asdict(size),
        "plan": asdict(plan),
        "faces": {"dimension": DIMENSION, "threshold": THRESHOLD, "scores": SCORES},
        **observed,
    }


def main() -> None:
    """Prepare, measure, and store the observations."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--newcomers", type=int, default=10, help="faces of people who enroll and withdraw")
    parser.add_argument("--seconds", type=float, default=FULL.seconds, help="of each measurement with doors")
    parser.add_argument("--site", type=Path, help="keep the prepared site in this folder, and use it again")
    parser.add_argument("--prepare", action="store_true", help="only prepare the site")
    parser.add_argument("--tiny", action="store_true", help="a test run of 50 people, in seconds; no figures")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    plan = TINY if asked.tiny else FleetPlan(seconds=asked.seconds)
    size = size_for(plan, 50, 1) if asked.tiny else size_for(plan, asked.people, asked.newcomers)
    with tempfile.TemporaryDirectory() as folder:
        at = asked.site or Path(folder) / "site"
        if asked.prepare:
            PreparedSite.made(at, size, said_on_stderr)
            return
        document = measured(at, size, plan, said_on_stderr) | {"tiny": asked.tiny}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
