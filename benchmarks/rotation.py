"""Duration of a key rotation in a site with many people, and its effect on the latency of a door.

People are grant secrets as a consent makes them; faces are not needed, because a rotation wraps secrets. While it runs,
a second instance of the same site, in a thread, reads one secret again and again, as a door does.

Not measured: the sketches, which the doors make again at their next refresh (as at their start).
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import machine
from volens import Site
from volens.consent import ReceiptId
from volens.store import Store

RESULTS: Final = Path(__file__).parent / "results" / "rotation.json"


def people(store: Store, count: int) -> list[ReceiptId]:
    """Make the secrets of `count` consents."""
    found = [ReceiptId(f"{number:032x}") for number in range(count)]
    for number, receipt_id in enumerate(found):
        if number % 100 == 0:
            print(f"\rmaking {number} of {count}", end="", file=sys.stderr, flush=True)
        store.keyring.new_grant_secret(receipt_id, os.urandom, datetime.now(UTC)).wipe()
    print(file=sys.stderr)
    return found


def observe(home: Path, receipt_id: ReceiptId, *, root: bool) -> dict[str, Any]:
    """Rotate once, while another instance of the site reads a secret."""
    reads: list[int] = []
    stop = threading.Event()

    def door() -> None:
        with Site.open(home) as other:
            while not stop.is_set():
                start = time.perf_counter_ns()
                other.installation.store.keyring.grant_secret(receipt_id).wipe()
                reads.append(time.perf_counter_ns() - start)
                time.sleep(0.005)

    with Site.open(home) as site:
        thread = threading.Thread(target=door)
        thread.start()
        time.sleep(0.5)
        before = len(reads)
        chunks: list[int] = []
        start = time.perf_counter_ns()
        done = site.keys.rotate(root=root, progress=lambda _done, _total: chunks.append(time.perf_counter_ns() - start))
        took = time.perf_counter_ns() - start
        stop.set()
        thread.join()
    return {"root": root, "buckets": done.buckets, "ns": took, "chunks_ns": chunks, "door_ns": reads[before:]}


def run(size: int, rounds: int) -> None:
    """Measure, and store the observations."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with Site.create(home, name="benchmark", contact="tester") as site:
            receipt_id = people(site.installation.store, size)[0]
        rotations = [observe(home, receipt_id, root=root) for _ in range(rounds) for root in (False, True)]
    document = {
        "machine": machine(),
        "versions": {name: version(name) for name in ("sqlalchemy", "cryptography", "volens")},
        "size": size,
        "rotations": rotations,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document) + "\n")


def table() -> None:
    """Derive the figures from the raw observations."""
    document = json.loads(RESULTS.read_text())
    print(f"{document['size']} people, {document['machine']['cores']} cores\n")
    print("| rotation | seconds | ms for 1000 people | slowest read at a door meanwhile, ms |")
    print("|---|---|---|---|")
    for one in document["rotations"]:
        seconds = one["ns"] / 1e9
        kind = "all keys, and the root key" if one["root"] else "all keys below the root key"
        stall = max(one["door_ns"], default=0) / 1e6
        print(f"| {kind} | {seconds:.2f} | {seconds * 1e6 / document['size']:.0f} | {stall:.0f} |")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="people; each takes about 3 ms to make")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only derive the table from the last run")
    arguments = parser.parse_args()
    if not arguments.table:
        run(arguments.size, arguments.rounds)
    table()


if __name__ == "__main__":
    main()
