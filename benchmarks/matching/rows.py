"""Rows of figures, derived from the raw observations: one for each contestant and task. They are in `summary.json`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.matching.__main__ import RESULTS
from benchmarks.matching.stopwatch import PARTS

KEYS: Final = ("contestant", "task", "dim", "size", "threads", "p50_ms", "p99_ms", "agreement", "gated")
"""Keys of every row; rows may have more. A key that does not apply is null."""

IDENTIFY: Final = "identify"
BASELINE: Final = "faiss-flat"
WHOLE: Final = "volens"

_OPENINGS: Final = (
    ("open", "spawned", True),
    ("open, without starting Python", "imported", True),
    ("open without a snapshot", "spawned", False),
    ("open without a snapshot, without starting Python", "imported", False),
)

Document = Mapping[str, Any]
Row = dict[str, Any]


def load(folder: Path = RESULTS) -> list[Document]:
    """Return the observations of a folder: runs by data and size, then scans."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    runs = [one for one in found if "run" in one]
    scans = [one for one in found if "scan" in one]
    runs.sort(key=lambda one: (-one["run"]["dimension"], one["run"]["size"]))
    return runs + sorted(scans, key=lambda one: (one["scan"]["size"], one["scan"]["threads"]))


def summary(documents: Sequence[Document]) -> dict[str, Any]:
    """Return the content of `summary.json`."""
    machine = dict(documents[0]["machine"]) | {"versions": versions(documents)} if documents else {}
    return {"machine": machine, "rows": rows(documents)}


def rows(documents: Iterable[Document]) -> list[Row]:
    """Return a row for each contestant and task; times in milliseconds for each probe or person."""
    found: list[Row] = []
    for document in documents:
        if "scan" in document:
            scan = document["scan"]
            found.append(
                _row("sketch-scan", "scan", scan["bits"], scan["size"], scan["threads"], document["ns"], gated=False)
                | {
                    "bytes_each": document["size_bytes"] / scan["size"],
                    "settings": {"nearest": document["nearest"]},
                }
            )
            continue
        for name, one in document["contestants"].items():
            if "not_run" not in one:
                found += _answers(document, name, one)
        found += _tasks(document)
    return found


def find(found: Iterable[Row], **wanted: object) -> Row | None:
    """Return the row that has these values, or None."""
    return next((one for one in found if all(one[key] == value for key, value in wanted.items())), None)


def _answers(document: Document, name: str, one: Document) -> list[Row]:
    run, queries = document["run"], one["queries"]
    kinds = np.array([document["probes"]["kind"][at] for at in queries["probe"]])
    agrees = np.array(
        [mine == document["probes"]["exact"][at] for at, mine in zip(queries["probe"], queries["found"], strict=True)]
    )
    spent, opened = np.array(queries["ns"]), queries["opened"]
    made: list[Row] = []
    for task, chosen in (
        (IDENTIFY, np.full(len(kinds), fill_value=True)),
        ("identify genuine", kinds == "genuine"),
        ("identify stranger", kinds == "stranger"),
    ):
        if not chosen.any():
            continue
        row = _row(name, task, run["dimension"], run["size"], one["threads"], spent[chosen], gated=one["gated"])
        numbers = [value for value, is_one in zip(opened, chosen, strict=True) if is_one and value is not None]
        made.append(
            row
            | {
                "agreement": float(agrees[chosen].mean()),
                "data": run["data"],
                "sealed_opened": float(np.mean(numbers)) if numbers else None,
                "bytes_each": one["size_bytes"] / run["size"],
                "build_s": one["build_s"],
                "settings": one["settings"],
            }
        )
    return made


def _tasks(document: Document) -> list[Row]:
    run, tasks = document["run"], document["tasks"]
    place = (run["dimension"], run["size"], 1)
    made = [
        _row(WHOLE, task, *place, tasks[task], gated=True) | {"data": run["data"]}
        for task in ("enroll", "withdraw")
        if tasks.get(task)
    ]
    for task, since, snapshot in _OPENINGS:
        spent = [one["searchable"] - one[since] for one in tasks.get("open", ()) if one["snapshot"] is snapshot]
        if spent:
            made.append(_row(WHOLE, task, *place, spent, gated=True) | {"data": run["data"]})
    if parts := document.get("parts"):
        for task, spent in (
            *((f"part: {name}", [one[name] for one in parts]) for name in PARTS),
            ("part: rest", [one["whole"] - sum(one[name] for name in PARTS) for one in parts]),
            ("gate", [one["whole"] - one["scan"] for one in parts]),
        ):
            made.append(_row(WHOLE, task, *place, spent, gated=True) | {"data": run["data"]})
    return made


def _row(name: str, task: str, dimension: int, size: int, threads: int, ns: Sequence[int], *, gated: bool) -> Row:
    p50, p99 = (float(one) for one in np.percentile(np.array(ns) / 1e6, [50, 99]))
    return {
        "contestant": name,
        "task": task,
        "dim": dimension,
        "size": size,
        "threads": threads,
        "p50_ms": p50,
        "p99_ms": p99,
        "agreement": None,
        "gated": gated,
        "mean_ms": float(np.mean(ns)) / 1e6,
        "count": len(ns),
        "data": None,
        "sealed_opened": None,
        "bytes_each": None,
        "build_s": None,
        "settings": None,
    }


def versions(documents: Iterable[Document]) -> dict[str, str]:
    """Return the versions of all packages that were used."""
    found: dict[str, str] = {}
    for document in documents:
        found |= document["versions"]
        for one in document.get("contestants", {}).values():
            found |= one.get("versions", {})
    return dict(sorted(found.items()))
