"""The plots of docs/performance.md, from the raw observations: ``python -m benchmarks.matching.plots``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.matching.__main__ import RESULTS
from benchmarks.matching.contestants import NAMES
from benchmarks.matching.rows import IDENTIFY, Document, Row, load, rows
from benchmarks.matching.stopwatch import PARTS

PICTURES: Final = Path(__file__).parent.parent.parent / "docs" / "performance"
_COLOURS: Final = dict(zip(NAMES, plt.get_cmap("tab20").colors, strict=False))
_OPENINGS: Final = ("open", "open without a snapshot")
_SIZE: Final = (7.5, 4.2)


def agreement(document: Document) -> Any:  # noqa: ANN401  Matplotlib's figures
    """Plot agreement with the exact search against latency: a line for a tunable contestant, a dot for the others."""
    figure, axes = plt.subplots(figsize=_SIZE)
    of_run = {one["contestant"]: one for one in rows([document]) if one["task"] == IDENTIFY}
    for name, one in document["contestants"].items():
        if "not_run" in one:
            continue
        trail = one["trail"] or [{"p50_ms": of_run[name]["p50_ms"], "agreement": of_run[name]["agreement"]}]
        places = [each["p50_ms"] for each in trail], [each["agreement"] for each in trail]
        axes.plot(*places, marker="o" if one["trail"] else "D", label=name, color=_COLOURS[name])
    axes.set(xscale="log", xlabel="p50, ms", ylabel="agrees with exact search")
    axes.set_title(f"{document['run']['size']:,} people, {document['run']['dimension']} dimensions")
    axes.legend(fontsize="small")
    return figure


def sizes(found: Sequence[Row], dimension: int) -> Any:  # noqa: ANN401  as above
    """Plot latency against size."""
    figure, axes = plt.subplots(figsize=_SIZE)
    for name in NAMES:
        mine = sorted(
            (one["size"], one["p50_ms"])
            for one in found
            if (one["contestant"], one["task"], one["dim"]) == (name, IDENTIFY, dimension)
        )
        if mine:
            axes.plot(*zip(*mine, strict=True), marker="o", label=name, color=_COLOURS[name])
    axes.set(xscale="log", yscale="log", xlabel="people", ylabel="p50, ms", title=f"{dimension} dimensions")
    axes.legend(fontsize="small")
    return figure


def opening(found: Sequence[Row]) -> Any:  # noqa: ANN401  as above
    """Plot the time from the start of a process to its first answer against size."""
    figure, axes = plt.subplots(figsize=_SIZE)
    for task, dimension in sorted({(one["task"], one["dim"]) for one in found}):
        mine = sorted(
            (one["size"], one["p50_ms"] / 1000) for one in found if (one["task"], one["dim"]) == (task, dimension)
        )
        axes.plot(*zip(*mine, strict=True), marker="o", label=f"{task}, {dimension} dimensions")
    axes.set(xscale="log", yscale="log", xlabel="people", ylabel="s", title="From process start to the first answer")
    axes.legend(fontsize="small")
    return figure


def gate(found: Sequence[Row]) -> Any:  # noqa: ANN401  as above
    """Plot what each part of an identification costs, stacked, for each run."""
    figure, axes = plt.subplots(figsize=_SIZE)
    runs = sorted({(one["dim"], one["size"]) for one in found if one["task"].startswith("part: ")}, reverse=True)
    names = [f"{size:,}\n{dimension}-d" for dimension, size in runs]
    bottom = [0.0] * len(runs)
    for part in (*PARTS, "rest"):
        heights = [
            next(o["mean_ms"] for o in found if (o["task"], o["dim"], o["size"]) == (f"part: {part}", *run))
            for run in runs
        ]
        axes.bar(names, heights, bottom=bottom, label=part, width=0.6)
        bottom = [low + high for low, high in zip(bottom, heights, strict=True)]
    axes.set(ylabel="mean, ms", title="One identification by Volens, in parts")
    axes.legend(fontsize="small")
    return figure


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the raw observations")
    parser.add_argument("--out", type=Path, default=PICTURES)
    arguments = parser.parse_args()
    # The same observations give the same files.
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "volens", "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3})
    documents = [one for one in load(arguments.results) if "run" in one]
    found = rows(documents)
    pictures = {f"agreement-{one['run']['dimension']}-{one['run']['size']}": agreement(one) for one in documents}
    pictures |= {f"sizes-{dimension}": sizes(found, dimension) for dimension in {one["dim"] for one in found}}
    pictures["open"] = opening([one for one in found if one["task"] in _OPENINGS])
    pictures["gate"] = gate(found)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, figure in pictures.items():
        figure.tight_layout()
        figure.savefig(arguments.out / f"{name}.svg", metadata={"Date": None})
    print(f"wrote {len(pictures)} pictures")


if __name__ == "__main__":
    main()
