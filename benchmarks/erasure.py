"""Duration of erasures: of one person, and of cohorts, at sites of several sizes, next to one durable SQLite commit.

Measured for each erasure: until no decision matches the person any more (the stop is committed), and until the
certificate is on the disk, which is after every key that wrapped the secret was replaced. Before each one, a peer is
measured in the same run: one row inserted and committed to a new SQLite file (write-ahead log, synchronous=FULL), with
which the figures can be compared between machines, and on a busy one.

People are written in bulk (`benchmarks.matching.population`); keys, receipts, seals and log are real. The gallery is in
memory, as in a process that serves a door.
"""

import argparse
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.machine import machine
from benchmarks.matching.faces import made_up
from benchmarks.matching.population import MODEL, ZONE, home_of
from volens import Site
from volens.consent import EndReason, Purpose, ReceiptId
from volens.erase import erase_consents
from volens.erase.proof import verify_certificate
from volens.store.keys import destroy_secrets
from volens.store.people import live_receipts

RESULTS: Final = Path(__file__).parent / "results" / "erasure.json"
SEED: Final = 20261124
SIZES: Final = (100, 10_000)
ONES: Final = 20
COHORTS: Final = (10, 100, 1_000, 10_000)
KEY_CHANGES: Final = 10


class Peer:
    """One row inserted and committed to an SQLite file, durably."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE row (id INTEGER PRIMARY KEY, content BLOB)",
        ):
            self._connection.execute(statement)

    def commit_ns(self) -> int:
        """Return how long one commit took."""
        start = time.perf_counter_ns()
        self._connection.execute("INSERT INTO row (content) VALUES (?)", (os.urandom(100),))
        return time.perf_counter_ns() - start

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Stopwatch:
    """Measures time, and the processor time of this process, which others on the machine hardly change."""

    def __init__(self) -> None:
        self._begun = time.perf_counter_ns(), time.process_time_ns()

    def read(self) -> tuple[int, int]:
        """Return nanoseconds since the beginning: of time, and of processor time."""
        begun, begun_cpu = self._begun
        return time.perf_counter_ns() - begun, time.process_time_ns() - begun_cpu


def erase(site: Site, receipts: Sequence[ReceiptId], peer: Peer) -> dict[str, Any]:
    """Erase people in one call, and return what was observed."""
    commit_ns, stopped = peer.commit_ns(), list[tuple[int, int]]()
    watch = Stopwatch()
    erased = erase_consents(
        site.installation, receipts, EndReason.WITHDRAWN, when_stopped=lambda: stopped.append(watch.read())
    )
    (stop_ns, stop_cpu_ns), (whole_ns, whole_cpu_ns) = stopped[0], watch.read()
    certificate = verify_certificate(erased[0].certificate_path.read_bytes(), site.verifier_key)
    if not certificate.statement["keys"]["root_key_destroyed"]:
        raise RuntimeError("the root key was not replaced; the figures would be of something else")
    return {
        "people": len(receipts),
        "peer_ns": commit_ns,
        "stop_ns": stop_ns,
        "stop_cpu_ns": stop_cpu_ns,
        "whole_ns": whole_ns,
        "whole_cpu_ns": whole_cpu_ns,
    }


def change_keys(site: Site, peer: Peer) -> dict[str, Any]:
    """Replace store key and root key without erasing a person."""
    store, commit_ns = site.installation.store, peer.commit_ns()
    watch = Stopwatch()
    destroy_secrets(store.keyring, [], store.random, store.now())
    whole_ns, whole_cpu_ns = watch.read()
    return {"peer_ns": commit_ns, "whole_ns": whole_ns, "whole_cpu_ns": whole_cpu_ns}


def observe(homes: Path, size: int, dimension: int) -> dict[str, Any]:
    """Erase single people and cohorts at a site of `size` people."""
    template = home_of(homes, f"erasure-{dimension}", made_up(dimension).draw(size, np.random.default_rng(SEED)))
    with tempfile.TemporaryDirectory(dir=homes) as folder:
        home = Path(shutil.copytree(template, Path(folder) / "home"))
        with Site.open(home) as site, closing(Peer(Path(folder) / "peer.db")) as peer:
            installation = site.installation
            with installation.store.read() as connection:
                left = live_receipts(connection)
                installation.galleries.of(connection, Purpose(ZONE), MODEL, dimension)
            np.random.default_rng(SEED).shuffle(left)  # a cohort is spread over all buckets
            keys = [change_keys(site, peer) for _ in range(KEY_CHANGES)]
            ones = [erase(site, [left.pop()], peer) for _ in range(min(ONES, size // 4))]
            cohorts = []
            for people in COHORTS:
                if people <= len(left) // 2:
                    print(f"\r{size} people: erasing {people}   ", end="", file=sys.stderr, flush=True)
                    cohorts.append(erase(site, left[:people], peer))
                    del left[:people]
            print(file=sys.stderr)
            size_bytes = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    return {"size": size, "home_bytes": size_bytes, "keys": keys, "ones": ones, "cohorts": cohorts}


def run(homes: Path, sizes: Sequence[int], dimension: int) -> None:
    """Measure, and store the observations."""
    load = os.getloadavg()[0]
    sites = [observe(homes, size, dimension) for size in sizes]
    names = ("numpy", "sqlalchemy", "cryptography", "volens")
    document = {
        "machine": machine() | {"load_before": load},
        "versions": {name: version(name) for name in names} | {"sqlite": sqlite3.sqlite_version},
        "dimension": dimension,
        "sites": sites,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document) + "\n")


def table() -> None:
    """Derive the figures from the raw observations."""
    document = json.loads(RESULTS.read_text())
    load = document["machine"]["load_before"]
    print(f"{document['dimension']} dimensions, {document['machine']['cores']} cores, load {load:.0f}; medians\n")
    print("| people | erased | until the stop, ms (CPU) | until the certificate, ms (CPU) | CPU ms each | commit, ms |")
    print("|---|---|---|---|---|---|")
    for site in document["sites"]:
        peer, whole, cpu = _medians(site["keys"], "peer_ns", "whole_ns", "whole_cpu_ns")
        print(f"| {site['size']} | 0 (only new keys) | | {whole:.0f} ({cpu:.0f}) | | {peer:.1f} |")
        for several in (site["ones"], *([one] for one in site["cohorts"])):
            people = several[0]["people"]
            names = ("peer_ns", "stop_ns", "stop_cpu_ns", "whole_ns", "whole_cpu_ns")
            peer, stop, stop_cpu, whole, cpu = _medians(several, *names)
            print(
                f"| {site['size']} | {people} | {stop:.0f} ({stop_cpu:.0f}) | {whole:.0f} ({cpu:.0f}) "
                f"| {cpu / people:.1f} | {peer:.1f} |"
            )


def _medians(observed: Sequence[dict[str, Any]], *names: str) -> list[float]:
    return [float(np.median([one[name] for one in observed])) / 1e6 for name in names]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="people enrolled, for each site")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--homes", type=Path, default=Path(tempfile.gettempdir()) / "volens-benchmark-homes")
    parser.add_argument("--table", action="store_true", help="only derive the table from the last run")
    arguments = parser.parse_args()
    if not arguments.table:
        arguments.homes.mkdir(parents=True, exist_ok=True)
        run(arguments.homes, arguments.sizes, arguments.dimension)
    table()


if __name__ == "__main__":
    main()
