"""The tables of docs/scaling.md about nodes and doors, from the raw observations: ``python -m benchmarks.fleet.page``.

With ``--results FILE`` the tables of another measurement are printed, and nothing is written.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.fleet.measured_run import BEGINS, FILES, GOES_ON, SERVER
from benchmarks.scaling.page import PAGE, filled

RESULTS: Final = Path(__file__).parent / "results" / "fleet.json"
PARTS: Final = r"fleet/\w+"
GOAL: Final = 2.0
"""How many times as long as with files an identification may take with PostgreSQL on loopback."""
LATE_MS: Final = 1000.0
ANSWERED: Final = 0.99
_GROUPS: Final = ("nodes", "database", "doors")

Document = Mapping[str, Any]


def blocks(document: Document) -> Mapping[str, str]:
    """Return the page's generated parts by name."""
    return {
        "fleet/machine": _machine(document),
        "fleet/process": _process(document["in_process"]),
        "fleet/nodes": _nodes(document["busy_doors"]),
        "fleet/doors": _doors(document["many_doors"]),
        "fleet/limits": _limits(document),
        "fleet/newcomers": _newcomers(document["newcomers"]),
    }


def _machine(document: Document) -> str:
    machine, size, plan, faces = (document[name] for name in ("machine", "size", "plan", "faces"))
    packages = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    warning = " **A tiny run: these are no figures.**" if document["tiny"] else ""
    if document["load_before"] > machine["cores"] / 2:
        warning += " **Other programs ran meanwhile: take ratios only, and those as upper bounds.**"
    mean, deviation = faces["scores"]
    return (
        f"{size['people']:,} people, one zone, {faces['dimension']} dimensions, threshold {faces['threshold']}, scores "
        f"of people with their own reference {mean} +- {deviation}. Measured on {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, Python {machine['python']}, {packages}; "
        f"PostgreSQL {document['server_version']} with its default settings. {plan['seconds']:g} s for each line, "
        f"{document['minutes']:.0f} minutes in all; load before {document['load_before']:.2f}.{warning}"
    )


def _process(observed: Mapping[str, Any]) -> str:
    rows = []
    columns = ("identify_ns", "goes_on_ns", "begins_ns")
    for where in (FILES, SERVER):
        trip = "none" if where == FILES else f"{np.median(observed['trip_ns']) / 1e6:.2f}"
        cells = [where, trip]
        for name in columns:
            p50, p90 = np.percentile(observed[where][name], (50, 90)) / 1e6
            ratio = np.median(observed[where][name]) / np.median(observed[FILES][name])
            cells.append(f"{p50:.2f} / {p90:.2f} ({ratio:.1f})")
        rows.append(cells)
    return _table(
        (
            "database",
            "a bare round trip, p50 ms",
            "identification, p50 / p90 ms (ratio)",
            "a whole frame, the visit goes on",
            "a whole frame, a visit begins",
        ),
        rows,
    )


def _nodes(observed: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in observed:
        answered = len(one["waited_us"])
        per_decision = (f"{1e3 * one['processor_s'][name] / max(1, answered):.2f}" for name in _GROUPS)
        cells = [one["where"], str(one["nodes"]), str(one["doors"]), one["visit"]]
        cells += [f"{answered / one['processor_s']['wall']:,.0f}", _latency(one, (50, 99)), " / ".join(per_decision)]
        rows.append([*cells, _recorded(one) if one["visit"] == BEGINS else "-", _not_ok(one)])
    head = ("database", "nodes", "doors", "the visit", "decisions/s", "p50 / p99 ms")
    costs = "processor ms per decision: nodes / database / doors"
    return _table((*head, costs, "visits recorded", "not answered"), rows)


def _doors(observed: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in observed:
        wall = one["processor_s"]["wall"]
        cores = (f"{one['processor_s'][name] / wall:.2f}" for name in _GROUPS)
        cells = [one["where"], str(one["nodes"]), f"{one['offered_per_s']:g}", f"{_came(one) / one['seconds']:.0f}"]
        cells += [f"{len(one['waited_us']) / wall:.0f}", _latency(one, (50, 95, 99)), _not_ok(one)]
        rows.append([*cells, _recorded(one), " / ".join(cores)])
    head = (
        "database",
        "nodes",
        "people/s, mean",
        "people/s who came",
        "answered/s",
        "p50 / p95 / p99 ms",
        "not answered",
    )
    return _table((*head, "visits recorded", "cores in use: nodes / database / doors"), rows)


def _limits(document: Document) -> str:
    observed = document["in_process"]
    ratio = np.median(observed[SERVER]["identify_ns"]) / np.median(observed[FILES]["identify_ns"])
    said = (
        f"An identification takes {ratio:.1f} times as long as with files, by the medians; the goal is {GOAL:g} times"
    )
    lines = [f"{said}, so it is {'reached' if ratio <= GOAL else 'missed'}."]
    for where in (FILES, SERVER):
        held = [one for one in document["many_doors"] if one["where"] == where and _holds(one)]
        most = max((one["offered_per_s"] for one in held), default=0)
        lines.append(
            f"With {where}, the highest rate at which {ANSWERED:.0%} of the people or more were answered, and 99 of "
            f"100 of these within {LATE_MS:.0f} ms, is {f'{most:g} a second' if most else 'below the lowest one'}."
        )
    fewest = min(document["plan"]["nodes"])
    alone = {one["visit"]: one for one in document["busy_doors"] if (one["where"], one["nodes"]) == (SERVER, fewest)}
    goes_on, begins = (
        f"{len(alone[visit]['waited_us']) / max(1e-3, alone[visit]['processor_s']['database']):,.0f}"
        for visit in (GOES_ON, BEGINS)
    )
    lines.append(
        f"Computed from its processor time with the fewest nodes ({fewest}): one core of the database server has time "
        f"for {goes_on} decisions a second in which a visit goes on, and for {begins} in which one begins."
    )
    return "\n\n".join(lines)


def _newcomers(observed: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in observed:
        cells = [one["where"], str(one["nodes"]), f"{one['beside_per_s']:g}", str(len(one["withdraw_us"]))]
        for name in ("consent_us", "enroll_us", "withdraw_us"):
            took = np.array(one[name]) / 1e3
            cells.append(f"{np.median(took):,.0f} / {took.max():,.0f}" if len(took) else "-")
        rows.append([*cells, _latency(one, (50, 99)) if one["beside_per_s"] else "-"])
    head = ("database", "nodes", "people/s at the doors", "newcomers", "consent, p50 / most ms", "enrollment")
    return _table((*head, "withdrawal with erasure", "doors meanwhile, p50 / p99 ms"), rows)


def _came(one: Mapping[str, Any]) -> int:
    return int(sum(one["statuses"].values()) + one["unsent"])


def _holds(one: Mapping[str, Any]) -> bool:
    waited = one["waited_us"]
    return len(waited) >= ANSWERED * _came(one) > 0 and float(np.percentile(waited, 99)) <= 1e3 * LATE_MS


def _not_ok(one: Mapping[str, Any]) -> str:
    """Return how many frames were not answered, by HTTP status."""
    names = {"0": "no response"}
    parts = [f"{count} {names.get(status, status)}" for status, count in one["statuses"].items() if status != "200"]
    if one["unsent"]:
        parts.append(f"{one['unsent']} not sent")
    return ", ".join(parts) or "0"


def _recorded(one: Mapping[str, Any]) -> str:
    return f"{one['recorded'] / one['matched']:.0%}" if one["matched"] else "-"


def _latency(one: Mapping[str, Any], percents: Iterable[int]) -> str:
    if not one["waited_us"]:
        return "-"
    return " / ".join(_ms(value / 1e3) for value in np.percentile(one["waited_us"], tuple(percents)))


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = tuple(head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def main() -> None:
    """Write the page's tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet.page", description=__doc__)
    parser.add_argument("--results", type=Path, help="print the tables of these observations instead")
    asked = parser.parse_args()
    document = json.loads((asked.results or RESULTS).read_text(encoding="utf-8"))
    if asked.results is not None:
        print("\n\n".join(blocks(document).values()))
        return
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), blocks(document), PARTS), encoding="utf-8")


if __name__ == "__main__":
    main()
