"""Run a grid: ``python -m benchmarks.matching small``. Raw observations go to results, one file for each run.

Each run is a separate process, with one thread unless a contestant declares more. Contestants whose packages are not
installed are left out and listed. The figures are derived afterwards, by ``python -m benchmarks.matching.figures``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import machine
from benchmarks.matching.grid import FOLDER, Grid
from volens.service.process.usable_cpus import usable_cpus

RESULTS: Final = Path(__file__).parent.parent / "results" / "matching"
BUILD: Final = Path(__file__).parent.parent / "build" / "matching"
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_PACKAGES: Final = ("faiss-cpu", "numpy", "sqlalchemy", "cryptography")


def run_one(grid: Grid, number: int, out: Path, build: Path, photos: Path | None) -> None:
    """Measure one run or scan in this process, and write the file."""
    import faiss  # noqa: PLC0415  only here, in the process that has the threads set
    import numpy as np  # noqa: PLC0415  as above

    from benchmarks.matching.contestant import Scene  # noqa: PLC0415  as above
    from benchmarks.matching.faces import distribution, threshold_of  # noqa: PLC0415  as above
    from benchmarks.matching.observing import observe  # noqa: PLC0415  as above
    from benchmarks.matching.population import home_of  # noqa: PLC0415  as above
    from benchmarks.matching.scanning import observe_scan  # noqa: PLC0415  as above

    faiss.omp_set_num_threads(1)
    document: dict[str, Any] = {"grid": grid.name, "seed": grid.seed, "machine": machine()}
    document["versions"] = {name: version(name) for name in _PACKAGES}
    if number >= len(grid.runs):
        scan = grid.scans[number - len(grid.runs)]
        document |= {"scan": asdict(scan)} | observe_scan(scan, grid.seed)
        name = scan.name
    else:
        run = grid.runs[number]
        drawn = distribution(run.data, run.dimension, photos)
        faces = drawn.references(run.size, np.random.default_rng(grid.seed))
        home = home_of(build, f"{drawn.name}-{run.dimension}-{grid.seed}", faces)
        # The path must be short, because PostgreSQL's socket is in this folder.
        with tempfile.TemporaryDirectory(prefix="vm", dir=build) as work:
            scene = Scene(faces, threshold_of(run.data, run.size), home, Path(work), usable_cpus())
            document |= {"run": asdict(run)} | observe(run, drawn, scene, grid.seed, grid.agreement, print)
            scene.close()
        name = run.name
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


def main() -> None:
    """Parse the command line; run each run and scan of the grid in a separate process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grid", nargs="?", default="small", help="a name in grids/, or a YAML file")
    parser.add_argument("--sizes", help="only runs and scans of these sizes, such as 10000,100000")
    parser.add_argument("--contestants", help="only these, such as volens,faiss-flat")
    parser.add_argument(
        "--photos", type=Path, default=_photos(), help="a folder with a folder of photos for each person"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--build", type=Path, default=BUILD, help="folder for filled sites, kept between runs")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    path = Path(arguments.grid)
    grid = Grid.read(path if path.suffix else FOLDER / f"{arguments.grid}.yaml")
    if arguments.contestants:
        wanted = arguments.contestants.split(",")
        runs = [replace(one, contestants=[name for name in one.contestants if name in wanted]) for one in grid.runs]
        grid = replace(grid, runs=runs)
    if arguments.only is not None:
        run_one(grid, arguments.only, arguments.out, arguments.build, arguments.photos)
        return
    sizes = {int(one) for one in arguments.sizes.split(",")} if arguments.sizes else None
    start = time.monotonic()
    for number, one in enumerate([*grid.runs, *grid.scans]):
        if sizes is None or one.size in sizes:
            print(f"== {one.name}, after {time.monotonic() - start:.0f} s", flush=True)
            command = [sys.executable, "-m", "benchmarks.matching", *sys.argv[1:], "--only", str(number)]
            subprocess.run(command, check=True, env=os.environ | _ONE_THREAD)  # noqa: S603  this very module
    print(f"done after {time.monotonic() - start:.0f} s", flush=True)


def _photos() -> Path | None:
    named = os.environ.get("VOLENS_ATT_FACES")
    return Path(named) if named else None


if __name__ == "__main__":
    main()
