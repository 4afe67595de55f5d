"""The tables of docs/deletion.md, derived from the raw observations: ``python -m benchmarks.deletion.table``."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.deletion.contestants import NAMES

RESULTS: Final = Path(__file__).parent / "results"
PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "deletion.md"
BEGIN: Final = "<!-- begin: python -m benchmarks.deletion.table -->"
END: Final = "<!-- end -->"

_SEALED: Final = frozenset({"sealed embedding", "wrapped secret"})
"""Ciphertext. The keys that wrapped the secret of a deleted person are destroyed with the deletion (docs/adr/0035)."""

_NOT_MEASURED: Final = "not measured"

Document = Mapping[str, Any]


def tables(documents: Sequence[Document]) -> str:
    """Return the tables: remains after the deletion, remains later, costs, and the contestants that were not run."""
    run = [one for one in documents if "not_run" not in one]
    absent = [f"Not run: {one['contestant']} ({one['not_run']})." for one in documents if "not_run" in one]
    return "\n\n".join([_right_after(run), _afterwards(run), _costs(run), *absent])


def load(folder: Path = RESULTS) -> list[Document]:
    """Return the results of a folder, in the order of the contestants."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (folder / f"{name}.json" for name in NAMES)
        if path.exists()
    ]


def left(document: Document, phase: str, place: str) -> str:
    """Return one cell: the number of deleted people of whom something was found in a place, in all runs together.

    Sealed values are counted separately, because no key that is left opens them.
    The cell is "not measured" if the control fails: before the deletion something of every deleted person must have
    been found there, and in this search something of every person who was kept. A backup is its own control.
    """
    count = sealed = total = 0
    for run in document["runs"]:
        seen, before = run[phase][place], run["before" if phase != "backup" else "backup"][place]
        if "kinds" not in seen or "kinds" not in before:
            return _NOT_MEASURED
        kept, deleted = set(run["people"]["kept"]), set(run["people"]["deleted"])
        if _anything(seen, "kept") != kept or _anything(before, "deleted") != deleted:
            return _NOT_MEASURED
        plain = [kind for kind in seen["kinds"] if kind not in _SEALED]
        readable = {one for kind in plain for one in _found(seen, kind, "deleted")}
        count += len(readable)
        sealed += len(_anything(seen, "deleted") - readable)
        total += len(deleted)
    return f"{_share(count, total)}{f' ({sealed} sealed)' if sealed else ''}"


def matched(document: Document, phase: str) -> str:
    """Return one cell: the number of deleted people who still matched."""
    runs = [run[phase] for run in document["runs"]]
    if all("refused" in one for one in runs):
        return "refused"
    if any("refused" in one for one in runs):
        return _NOT_MEASURED
    # The control: the people who were kept must match.
    if any(one["matched_kept"] < document["deleted"] for one in runs):
        return _NOT_MEASURED
    return _share(sum(one["matched_deleted"] for one in runs), document["deleted"] * len(runs))


def _right_after(documents: Sequence[Document]) -> str:
    head = ["deleted, as documented", "still matched", "found in memory", "found in files", "found in the backup"]
    rows = [
        [
            one["contestant"],
            matched(one, "deleted"),
            left(one, "deleted", "memory"),
            left(one, "deleted", "files"),
            left(one, "backup", "files"),
            matched(one, "restored"),
        ]
        for one in documents
    ]
    return _table([*head, "matched after the backup was restored"], rows)


def _afterwards(documents: Sequence[Document]) -> str:
    head = ["best maintenance: matched", "in memory", "in files", "new process: matched", "in memory", "in files"]
    rows = [
        [
            one["contestant"],
            *(
                cell
                for phase in ("maintained", "restarted")
                for cell in (matched(one, phase), left(one, phase, "memory"), left(one, phase, "files"))
            ),
        ]
        for one in documents
    ]
    return _table(["afterwards", *head], rows)


def _costs(documents: Sequence[Document]) -> str:
    rows = [
        [
            one["contestant"],
            _median_ms(ns for run in one["runs"] for ns in run["enroll_ns"]),
            _median_ms(ns for run in one["runs"] for ns in run["before"]["identify_ns"]),
            _median_ms(ns for run in one["runs"] for ns in run["delete_ns"]),
            _median_ms(run["maintain_ns"] for run in one["runs"]),
            one["maintenance"],
            one["kept_as"],
            _undone(matched(one, "restored")),
        ]
        for one in documents
    ]
    head = [
        "enroll",
        "identify",
        "delete",
        "maintain",
        "best maintenance",
        "storage of a face",
        "deletion can be undone",
    ]
    return _table(["median ms", *head], rows)


def _undone(restored: str) -> str:
    if restored == "refused":
        return "not with this backup"
    return "not observed" if restored.startswith("0 ") else "with the backup"


def _found(seen: Document, kind: str, group: str) -> set[int]:
    return set(seen["kinds"].get(kind, {}).get(group, {}).get("found", ()))


def _anything(seen: Document, group: str) -> set[int]:
    return {one for kind in seen["kinds"] for one in _found(seen, kind, group)}


def _share(count: int, total: int) -> str:
    return f"{count} of {total}"


def _median_ms(values: Iterable[int]) -> str:
    return f"{np.median(list(values)) / 1e6:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write the tables into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n\n{tables(load())}\n\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()
