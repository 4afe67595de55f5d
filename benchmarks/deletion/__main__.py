"""Run the scenario: ``python -m benchmarks.deletion``. Raw observations go to results/, one file for each contestant.

Each contestant whose packages are installed is run (requirements.lock has them all); the others are listed as not run.
"""

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.deletion.contestants import NAMES, contestant
from benchmarks.deletion.people import People
from benchmarks.deletion.scenario import NotRunError, Run
from benchmarks.deletion.table import RESULTS, tables
from benchmarks.machine import machine

SEED: Final = 20261123
TINY: Final = {"people": 40, "deleted": 4, "dimension": 128, "runs": 1}


def observe(name: str, people: int, deleted: int, dimension: int, runs: int) -> dict[str, Any]:
    """Run one contestant, each run with other people in a new folder, and return the document of its results."""
    document: dict[str, Any] = {
        "contestant": name,
        "machine": machine(),
        "python": platform.python_version(),
        "threads": 1,
        "people": people,
        "deleted": deleted,
        "dimension": dimension,
    }
    try:
        kind = contestant(name)
    except ImportError as error:
        return document | {"not_run": f"not installed: {error.name}"}
    document |= {"kept_as": kind.kept_as, "maintenance": kind.maintenance, "runs": []}
    for run in range(runs):
        # The path must be short, because PostgreSQL's socket is in this folder.
        with tempfile.TemporaryDirectory(prefix="del") as work:
            made_up = People.made_up(people, deleted, dimension, SEED + run)
            try:
                document["runs"].append({"seed": SEED + run} | Run(name, Path(work), made_up).observe())
            except NotRunError as error:
                return document | {"not_run": str(error).replace(work, "WORK")}
    return document


def main() -> None:
    """Parse the command line, run, write the results, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contestants", default=",".join(NAMES), help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--people", type=int, default=500, help="enrolled in each run")
    parser.add_argument("--deleted", type=int, default=20, help="deleted in each run; as many others are the control")
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a quick run; writes nothing without --out")
    parser.add_argument("--out", type=Path, help="folder for the results")
    arguments = parser.parse_args()
    names = arguments.contestants.split(",")
    if unknown := set(names) - set(NAMES):
        parser.error(f"got {', '.join(sorted(unknown))}; expected some of {', '.join(NAMES)}")
    sizes = TINY if arguments.tiny else {name: getattr(arguments, name) for name in TINY}
    # One thread, so that the copies in memory do not depend on the number of cores.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    out = arguments.out or (None if arguments.tiny else RESULTS)
    documents = []
    for name in names:
        print(f"{name} ...", flush=True)
        documents.append(observe(name, **sizes))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(documents[-1], separators=(",", ":"), default=_plain)
            (out / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
    print(f"\n{tables(documents)}")


def _plain(value: object) -> object:
    if isinstance(value, np.integer):
        return int(value)
    raise TypeError(f"got {type(value).__name__}; expected a type that JSON has")


if __name__ == "__main__":
    main()
