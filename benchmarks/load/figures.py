"""`python -m benchmarks.load.figures`: writes the results of the stored runs into the table of benchmarks/README.md."""

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parents[1] / "results" / "load"
PAGE: Final = Path(__file__).parents[1] / "README.md"
BEGIN: Final = "<!-- begin: python -m benchmarks.load.figures -->"
END: Final = "<!-- end: python -m benchmarks.load.figures -->"

_HEAD: Final = (
    "workers x model threads",
    "killed",
    "decisions",
    "frames due",
    "p50 ms",
    "p95 ms",
    "withdrawn",
    "matched after withdrawal",
    "memory MiB, first half",
    "memory MiB, second half",
)


def row(kept: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the figures of one run.

    Matched after withdrawal: decisions that name a person whose withdrawal had its response before.
    """
    plan, decisions = kept["plan"], kept["decisions"]
    took = sorted((ended - began) / 1e6 for began, ended, _, _ in decisions)
    gone = {one["subject_id"]: one["withdrawn"]["ended"] for one in kept["stays"] if one["withdrawn"]}
    late = sum(any((gone.get(who) or began) < began for who in matched) for began, _, _, matched in decisions)
    memory = [one / 2**20 for one in kept["resident_bytes"] if one]
    half = len(memory) // 2
    return (
        f"{plan.get('workers', 1)} x {plan['model_threads']}",
        "no" if plan["kill_at_s"] is None else f"at {plan['kill_at_s']:.0f} s",
        f"{len(decisions):,}",
        f"{plan['seconds'] * plan['doors'] * plan['frames_per_s']:,.0f}",
        *(f"{took[int(len(took) * part)]:.0f}" for part in (0.5, 0.95)),
        str(sum(ended is not None for ended in gone.values())),
        str(late),
        *(f"{statistics.median(part):.0f}" for part in (memory[:half], memory[half:])),
    )


def main() -> None:
    """Write the table between its markers."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"), reverse=True)]
    lines = [_HEAD, ("---",) * len(_HEAD), *map(row, runs)]
    on = runs[0]["machine"]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = f"{on['processor']}, {on['cores']} cores, Python {on['python']}; doors and people on the same machine."
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{said}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
