"""The table of docs/performance.md about HTTP, derived from the raw observations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.http.observing import IN_A_ROW

PAGE: Final = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN: Final = "<!-- begin: python -m benchmarks.http -->"
END: Final = "<!-- end: python -m benchmarks.http -->"

_HEAD: Final = (
    "frame",
    "bytes",
    "library p50 ms",
    "HTTP p50 ms",
    "adds p50 ms",
    "adds",
    "fastest 5 %: adds ms",
    "/healthz p50 ms",
)


def table(observed: Mapping[str, Any]) -> str:
    """Return the table. The overhead of HTTP is the difference of the times of two requests for one frame.

    The first request of each row is left out, on both sides, because the processor's caches hold the other's memory.
    """
    lines = [_HEAD, ("---",) * len(_HEAD)]
    for name, times in observed["nanoseconds"].items():
        library, http, healthz = (
            np.array(times[way]).reshape(-1, IN_A_ROW)[:, 1:].ravel() / 1e6 for way in ("library", "http", "healthz")
        )
        added = http - library
        lines.append(
            (
                name,
                f"{observed['frames'][name]:,}",
                f"{np.median(library):.2f}",
                f"{np.median(http):.2f}",
                f"{np.median(added):.2f}",
                f"{np.median(added) / np.median(library):.1%}" if np.median(library) > 1 else "-",
                f"{np.percentile(http, 5) - np.percentile(library, 5):.2f}",
                f"{np.median(healthz):.2f}",
            )
        )
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    on = observed["machine"]
    threads = ", ".join(f"{name} {count}" for name, count in observed["threads"].items())
    versions = ", ".join(f"{name} {one}" for name, one in observed["versions"].items())
    count = min(len(times["http"]) for times in observed["nanoseconds"].values())
    said = (
        f"{on['processor']}, {on['cores']} cores, Python {on['python']}; {versions}. Threads: {threads}. {count} "
        f"requests each, {IN_A_ROW} in a row."
    )
    return f"{rows}\n\n{said}"


def write(observed: Mapping[str, Any], page: Path = PAGE) -> None:
    """Write the table between its markers."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{table(observed)}\n\n{END}{after}", encoding="utf-8")
