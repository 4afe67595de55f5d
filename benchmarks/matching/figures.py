"""The tables, derived from the raw observations: ``python -m benchmarks.matching.figures``.

Writes `summary.json` next to the folder of the observations, and the tables of docs/performance.md.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.matching.__main__ import RESULTS
from benchmarks.matching.contestants import NAMES
from benchmarks.matching.rows import BASELINE, IDENTIFY, Document, Row, find, load, rows, summary, versions
from benchmarks.matching.targets import targets

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "performance.md"
PICTURES: Final = "performance"
BEGIN: Final = "<!-- begin: python -m benchmarks.matching.figures -->"
END: Final = "<!-- end -->"


def page(documents: Sequence[Document], pictures: Iterable[Path] = ()) -> str:
    """Return the generated part of docs/performance.md, with the existing plots."""
    if not documents:
        return "Nothing was measured yet."
    found, machine = rows(documents), documents[0]["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in versions(documents).items())
    parts = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}.",
        f"{packages}.",
        _table(["target", "measured", "result"], [[one.said, one.measured, one.verdict] for one in targets(found)]),
    ]
    for document in documents:
        if "run" in document:
            parts += _of_run(document, found)
    scans = [one for one in found if one["task"] == "scan"]
    if scans:
        head = [
            "sketches, scan only",
            "bits",
            "threads",
            "k nearest (0: within the threshold)",
            "p50 ms",
            "p99 ms",
            "bytes per sketch",
        ]
        cells = [
            [
                f"{one['size']:,}",
                str(one["dim"]),
                str(one["threads"]),
                str(one["settings"]["nearest"]),
                *_times(one),
                f"{one['bytes_each']:.0f}",
            ]
            for one in scans
        ]
        parts.append(_table(head, cells))
    parts += [f"![{one.stem.replace('-', ' ')}]({PICTURES}/{one.name})" for one in pictures]
    return "\n\n".join(parts)


def _of_run(document: Document, found: Sequence[Row]) -> list[str]:
    run = document["run"]
    here = [one for one in found if (one["data"], one["dim"], one["size"]) == _place(run)]
    flat = find(here, contestant=BASELINE, task=IDENTIFY)
    head = [
        "contestant",
        "gate",
        "threads",
        "p50 ms",
        "p99 ms",
        "speedup over exact",
        "agreement",
        "opened: genuine, stranger",
    ]
    cells = []
    for name in NAMES:
        one = find(here, contestant=name, task=IDENTIFY)
        if one is not None:
            opened = [find(here, contestant=name, task=f"identify {kind}") for kind in ("genuine", "stranger")]
            cells.append(
                [
                    name,
                    "yes" if one["gated"] else "no",
                    str(one["threads"]),
                    *_times(one),
                    f"{flat['p50_ms'] / one['p50_ms']:.1f}" if flat else "",
                    f"{one['agreement']:.4f}",
                    ", ".join(f"{each['sealed_opened']:.2f}" for each in opened if each and one["gated"]),
                    f"{one['bytes_each']:,.0f}",
                    f"{one['build_s']:.1f}",
                    ", ".join(f"{key} {value}" for key, value in one["settings"].items()),
                ]
            )
    tasks = [one for one in here if not one["task"].startswith("identify")]
    made = [
        f"### {run['size']:,} people, {run['dimension']} dimensions",
        f"{document['data'][0].upper()}{document['data'][1:]}. Threshold {document['threshold']:.3f}.",
        _table([*head, "bytes per person", "build s", "settings"], cells),
    ]
    if tasks:
        made.append(
            _table(
                ["volens", "p50 ms", "p99 ms", "mean ms", "count"],
                [[one["task"], *_times(one), f"{one['mean_ms']:.3g}", str(one["count"])] for one in tasks],
            )
        )
    made += [
        f"Not run: {name} ({one['not_run']})." for name, one in document["contestants"].items() if "not_run" in one
    ]
    return made


def _place(run: Mapping[str, Any]) -> tuple[str, int, int]:
    return run["data"], run["dimension"], run["size"]


def _times(one: Row) -> list[str]:
    return [f"{one['p50_ms']:.3g}", f"{one['p99_ms']:.3g}"]


def _table(head: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write the summary, and the tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the raw observations")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--print", action="store_true", help="print the tables, and do not change the page")
    arguments = parser.parse_args()
    documents = load(arguments.results)
    path = arguments.results.parent / "summary.json"
    path.write_text(json.dumps(summary(documents), indent=1) + "\n", encoding="utf-8")
    tables = page(documents, sorted((arguments.page.parent / PICTURES).glob("*.svg")))
    if arguments.print:
        print(tables)
        return
    before, _, rest = arguments.page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    arguments.page.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")
    print(f"wrote {path.name} and {arguments.page.name}")


if __name__ == "__main__":
    main()
