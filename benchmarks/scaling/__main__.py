"""Measure the raw data for the tables and the simulation of docs/scaling.md: ``python -m benchmarks.scaling``.

Raw observations go to results/scaling.json; ``python -m benchmarks.scaling.page`` derives the page from them.
"""

import argparse
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import faiss

from benchmarks.machine import machine
from benchmarks.scaling.doors import doors
from benchmarks.scaling.engines import engines
from benchmarks.scaling.shards import shards

RESULTS: Final = Path(__file__).parent / "results" / "scaling.json"
SEED: Final = 20261124


def said(what: str) -> None:
    """Report on standard error what is being measured."""
    print(what, file=sys.stderr, flush=True)


def measured(*, tiny: bool, largest: int) -> dict[str, Any]:
    """Return all observations; `tiny` takes a second or two, and its values must not be used as figures."""
    faiss.omp_set_num_threads(1)
    started = time.perf_counter()
    sizes = [1000, 4000] if tiny else [one for one in (10**3, 10**4, 10**5, 10**6, 10**7) if one <= largest]
    document: dict[str, Any] = {
        "machine": machine()
        | {
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "load_before": os.getloadavg()[0],
        },
        "versions": {name: version(name) for name in ("faiss-cpu", "numpy", "sqlalchemy", "cryptography", "volens")},
        "seed": SEED,
        "tiny": tiny,
        "engines": list(engines(sizes, (512, 1024), 0.02 if tiny else 6.0, SEED, said)),
    }
    said("a gallery in several processes")
    counts, rows, queries = ((2,), 2000, 10) if tiny else ((1, 2, 4, 8), min(largest, 10**6), 400)
    document["shards"] = shards(counts, rows, 512, queries, SEED)
    document["doors"] = []
    for dimension in (128, 512):
        said(f"a store with embeddings of {dimension} dimensions")
        document["doors"].append(doors(4 if tiny else 1000, dimension, 5 if tiny else 500, SEED))
    document["minutes"] = (time.perf_counter() - started) / 60
    return document


def main() -> None:
    """Measure, and store the observations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a test run of a second or two")
    parser.add_argument("--largest", type=int, default=10**7, help="most rows; 10,000,000 of 1024 bits take 1.5 GB")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    document = measured(tiny=arguments.tiny, largest=arguments.largest)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
