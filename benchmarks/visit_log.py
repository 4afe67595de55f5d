"""Cost of a visit in the audit log: written in a shard, verified, and its bytes on disk; and what 500 doors make of it.

The entries are those of `volens.store.people.visits`, written without people and faces. One part is written one by one,
as doors do; the rest in blocks, to have a shard of some size. Times are CPU time of this process, without that of other
programs on the machine.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import machine
from volens import Site
from volens.store import Store
from volens.store.log.shard_verification import verify_shards
from volens.store.people.visits import MATCHED

RESULTS: Final = Path(__file__).parent / "results" / "visit_log.json"
START: Final = datetime(2026, 11, 1, 8, tzinfo=UTC)
KEPT: Final = timedelta(days=90)
_BLOCK: Final = 1000
VISITS_A_YEAR: Final = 250_000_000
"""Of 500 doors: eight doors in use all day make four million (docs/adr/0027)."""
ZONES: Final = 20


def write(store: Store, zone: str, count: int) -> int:
    """Write visits into the open shard of a zone, in one transaction; return the nanoseconds of CPU time."""
    start = time.process_time_ns()
    with store.write() as tx:
        details = [
            {
                "receipt_id": f"{number:032x}",
                "zone": zone,
                "kind": "identify",
                "minute": "2026-11-01T08:00:00Z",
                "model": "sface@0123456789abcdef",
                "asked_by": "0123456789abcdef",
            }
            for number in range(count)
        ]
        tx.shards.append(f"visits/{zone}", KEPT, MATCHED, START, details)
    return time.process_time_ns() - start


def verify(store: Store, rounds: int) -> list[int]:
    """Verify all shards; return the nanoseconds of each round."""
    taken = []
    for _ in range(rounds):
        start = time.process_time_ns()
        with store.read() as connection:
            verify_shards(connection, store.verifier_key)
        taken.append(time.process_time_ns() - start)
    return taken


def observe(size: int, single: int, zones: int, rounds: int) -> dict[str, Any]:
    """Return the observations of a shard of about `size` visits, with shards of other zones beside it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with Site.create(home, name="benchmark", contact="tester", clock=lambda: START) as site:
            store = site.installation.store
            for number in range(1, zones):
                write(store, f"zone-{number}", 1)
            before = (home / "volens.db").stat().st_size + (home / "keyring.db").stat().st_size
            for _ in range(0, size - single, _BLOCK):
                write(store, "lobby", _BLOCK)
            store.compact()
            after = (home / "volens.db").stat().st_size + (home / "keyring.db").stat().st_size
            written = [write(store, "lobby", 1) for _ in range(single)]
            entries = site.log.verify().shards.entries
            openable = verify(store, rounds)
            with store.data.write() as connection:
                connection.exec_driver_sql("DELETE FROM shard_opening")
            ended = verify(store, rounds)
    return {
        "machine": machine() | {"load": os.getloadavg()[0]},
        "versions": {name: version(name) for name in ("sqlalchemy", "cryptography", "volens")},
        "shards": zones,
        "entries": entries,
        "bytes": after - before,
        "bytes_of": (size - single + _BLOCK - 1) // _BLOCK * _BLOCK,
        "write_ns": written,
        "verify_ns": openable,
        "verify_without_openings_ns": ended,
    }


def table(document: dict[str, Any]) -> str:
    """Derive the figures from the observations."""
    entries = document["entries"]
    each, each_ended = (min(document[name]) / entries / 1e3 for name in ("verify_ns", "verify_without_openings_ns"))
    size = document["bytes"] / document["bytes_of"]
    month = VISITS_A_YEAR // 12 // ZONES
    kept = VISITS_A_YEAR * (KEPT.days + 31) // 365
    rows = (
        ("one visit, written by itself, p50", f"{_median(document['write_ns']) / 1e6:.1f} ms"),
        ("one visit on disk", f"{size:.0f} bytes"),
        ("one visit, verified", f"{each:.0f} µs; {each_ended:.0f} µs once it does not open any more"),
        (
            f"a shard of 500 doors ({ZONES} zones): {month:,} visits",
            f"{month * each / 1e6:.0f} s, {month * size / 1e6:.0f} MB",
        ),
        (f"all that is kept of them: {kept:,} visits", f"{kept * each / 6e7:.0f} min, {kept * size / 1e9:.0f} GB"),
        ("the main log, for 500 doors, in a year", f"{2 * 12 * (2 * ZONES + 1) + 24 * 365:,} leaves at most"),
    )
    return "\n".join(["| what | cost |", "|---|---|", *(f"| {what} | {cost} |" for what, cost in rows)])


def _median(values: Sequence[int]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> None:
    """Measure, store the observations, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=200_000, help="visits in the shard")
    parser.add_argument("--table", action="store_true", help="only derive the table from the last run")
    arguments = parser.parse_args()
    if not arguments.table:
        print("writing and verifying", file=sys.stderr)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(observe(arguments.size, single=300, zones=ZONES, rounds=3)) + "\n")
    print(table(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
