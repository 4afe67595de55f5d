"""Duration of an erasure of many people in one batch, by stage, and of an erasure of one.

People are enrolled through the store with made-up embeddings; then one of them is erased, then all others in one batch.
Every call of the progress function is recorded with its time; the figures are derived from these records.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.enrolling import enroll_face
from benchmarks.machine import machine
from benchmarks.matching.faces import made_up
from volens import Site
from volens.consent import ConsentedEmbedding, EndReason, ModelId, Notice, ReceiptId, SubjectKey, UnitVector
from volens.erase import erase_consents
from volens.erase.proof import verify_certificate

RESULTS: Final = Path(__file__).parent / "results" / "erasure.json"
SEED: Final = 20261124
ONES: Final = 20
MODEL: Final = ModelId("benchmark@00000000")


def fill(site: Site, notice: Notice, faces: np.ndarray[Any, Any]) -> list[ReceiptId]:
    """Give consent for every person, and store their face as enrollment does after the photos."""
    store = site.installation.store
    given: list[ReceiptId] = []
    for row, face in enumerate(faces):
        if row % 100 == 0:
            print(f"\renrolling {row} of {len(faces)}", end="", file=sys.stderr, flush=True)
        key = SubjectKey.from_seed(os.urandom(32))
        receipt = site.give_consent(notice, name=f"person {row}", jurisdiction="FR", key=key).receipt
        vector = UnitVector.normalised(face)
        enroll_face(store, receipt, partial(ConsentedEmbedding, vector=vector, model_id=MODEL))
        given.append(receipt.claims.receipt_id)
    print(file=sys.stderr)
    return given


def run(size: int, dimension: int) -> None:
    """Measure, and store the observations."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        site = Site.create(home, name="benchmark", contact="tester")
        site.add_zone("door", custody="operator", justification="measured", alternative="none", retention_days=30)
        notice = site.publish_notice("door", language="en", text=b"benchmark")
        receipts = fill(site, notice, made_up(dimension).draw(size + ONES, np.random.default_rng(SEED)))
        ones: list[int] = []
        for receipt_id in receipts[:ONES]:
            start = time.perf_counter_ns()
            erase_consents(site.installation, [receipt_id], EndReason.WITHDRAWN)
            ones.append(time.perf_counter_ns() - start)
        seen: list[tuple[int, int]] = []
        start = time.perf_counter_ns()
        erased = erase_consents(
            site.installation,
            receipts[ONES:],
            EndReason.ORDERED,
            lambda done, _of: seen.append((time.perf_counter_ns() - start, done)),
        )
        whole = time.perf_counter_ns() - start
        for one in erased[:: max(1, size // 100)]:
            verify_certificate(one.certificate_path.read_bytes(), site.verifier_key)
        size_bytes = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        site.close()
    document = {
        "machine": machine(),
        "versions": {name: version(name) for name in ("numpy", "sqlalchemy", "cryptography", "volens")},
        "size": size,
        "dimension": dimension,
        "home_bytes": size_bytes,
        "one_ns": ones,
        "batch_ns": whole,
        "progress": [{"ns": ns, "done": done} for ns, done in seen],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document) + "\n")


def table() -> None:
    """Derive the figures from the raw observations."""
    document = json.loads(RESULTS.read_text())
    size, seconds = document["size"], document["batch_ns"] / 1e9
    one_ms = np.array(document["one_ns"]) / 1e6
    longest = max(np.diff([0, *(each["ns"] for each in document["progress"])])) / 1e9
    print(f"{document['dimension']} dimensions, {document['home_bytes'] / 1e6:.0f} MB in the home afterwards\n")
    print("| people at once | seconds | ms each | longest without progress, s |")
    print("|---|---|---|---|")
    print(f"| 1 (the first builds the gallery: {one_ms[0]:.0f} ms) | {np.median(one_ms[1:]) / 1e3:.3f} |", end="")
    print(f" {np.median(one_ms[1:]):.1f} | |")
    print(f"| {size} | {seconds:.1f} | {1e3 * seconds / size:.1f} | {longest:.1f} |")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="people erased at once; each takes 12 ms to enroll")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--table", action="store_true", help="only derive the table from the last run")
    arguments = parser.parse_args()
    if not arguments.table:
        run(arguments.size, arguments.dimension)
    table()


if __name__ == "__main__":
    main()
