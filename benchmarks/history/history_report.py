"""The report of a history: a table of what happened, and of each promise how often it was broken."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.history.history_checker import Rule, Verdict
from benchmarks.history.operation import What

PAGE: Final = Path(__file__).parents[2] / "docs" / "history.md"
BEGIN: Final = "<!-- begin: python -m benchmarks.history --page -->"
END: Final = "<!-- end: python -m benchmarks.history --page -->"
ON_SERVERS: Final = (
    "<!-- begin: python -m benchmarks.history --postgres FOLDER --page -->",
    "<!-- end: python -m benchmarks.history --postgres FOLDER --page -->",
)
"""The lines around the report of a run on PostgreSQL."""


def report_of(verdict: Verdict, header: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    counts, broken = verdict.counts, [one.rule for one in verdict.violations]
    happened = [
        ("looks that were answered", counts[What.LOOK]),
        ("of them recognised", verdict.recognised),
        ("of them by a lease", verdict.recognised_by_lease),
        ("people enrolled", counts[What.ENROLL]),
        ("people stopped at the primary", counts[What.WITHDRAW]),
        ("people stopped everywhere", counts[What.EVERYWHERE]),
        ("of them later, because a door held a lease", verdict.stopped_later),
        ("webhooks", counts[What.WEBHOOK]),
        ("checkpoints of the log", counts[What.CHECKPOINT]),
        *((f"fault: {kind}", count) for kind, count in sorted(verdict.faults.items())),
    ]
    lines = ["| what happened | times |", "|---|---|", *(f"| {what} | {count:,} |" for what, count in happened)]
    lines += ["", "| promise | broken |", "|---|---|", *(f"| {rule} | {broken.count(rule)} |" for rule in Rule)]
    latest = verdict.latest_match_ns / 1e6
    lines += ["", f"The latest look that still matched began {latest:.0f} ms after its withdrawal had begun."]
    lines += [f"This history proves too little: {gap}." for gap in verdict.gaps]
    responses = ", ".join(f"{what}: {count:,}" for what, count in header.get("responses", {}).items())
    lines += ["", f"Responses by HTTP status, 0 for none: {responses or 'not recorded'}."]
    if "machine" in header:
        on, plan = header["machine"], header["plan"]
        how = f"Seed {plan['seed']}, {plan['seconds']:g} s, {plan['nodes']} nodes, {plan['doors']} doors."
        if plan.get("data") == "PostgreSQL":
            how += " The data is on PostgreSQL, a primary and a synchronous replica."
        lines += ["", f"{how} {on['processor']}, {on['cores']} cores, Python {on['python']}; all on one machine."]
    return "\n".join(lines)


def write_page(report: str, page: Path = PAGE, between: tuple[str, str] = (BEGIN, END)) -> None:
    """Write a report between two lines of a page.

    Raises:
        ValueError: the page has no markers.
    """
    first, last = between
    before, begin, rest = page.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"got a page without the line {first}, or without its end; put both where the report belongs")
    page.write_text(f"{before}{first}\n\n{report}\n\n{last}{after}", encoding="utf-8")
