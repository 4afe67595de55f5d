"""The tables and the plot of docs/scaling.md, derived from the raw observations: ``python -m benchmarks.scaling.page``.

With ``--results FILE`` the tables of another measurement are printed, and nothing is written.
"""

import argparse
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.scaling.engines import BATCH
from benchmarks.scaling.fan_out import Hedge
from benchmarks.scaling.figures import (
    Document,
    Measured,
    Percentiles,
    checks,
    fan_out,
    fitted,
    gate_ns,
    probes_at,
    under_load,
)
from benchmarks.scaling.model import (
    candidates,
    doors_per_core,
    even_dimensions,
    false_identification_rate,
    identify_ns,
    missed,
    rows_in_memory,
    threshold_for,
)
from volens.face.thresholds import SFACE
from volens.service.line_plot import Series, svg

RESULTS: Final = Path(__file__).parent / "results" / "scaling.json"
PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "scaling.md"
PLOT: Final = PAGE.with_suffix(".svg")
MEASURED_SIZES: Final = (200, 500, SFACE.measured_up_to)
GROWTH: Final = tuple(10**power for power in range(3, 10))

PROBES_PER_S: Final = 0.2
"""Of one door in its busiest hour: a face every five seconds."""

BUSY: Final = 0.5
STRANGERS_ACCEPTED: Final = 0.01
"""FPIR that the thresholds of the table aim at."""

MACHINES: Final = {10**7: (1, 4, 16), 10**8: (8, 32, 128), 10**9: (64, 256, 1024)}
LOADS: Final = ((10**8, 32), (10**9, 256))
SFACE_EVEN: Final = even_dimensions(0.363, 1 - (1 - 0.23) ** (1 / 200))
"""Even dimensions of SFace: 23 of 100 strangers match one of 200 people at OpenCV's limit (docs/performance.md)."""

EVEN: Final = 128
"""Even dimensions of the galleries for which candidates are counted; an assumption, not a measurement."""


def blocks(document: Document) -> Mapping[str, str]:
    """Return the page's generated parts by name."""
    measured = Measured.of(document)
    return {
        "machine": _machine(document),
        "scans": _scans(document),
        "memory": _memory(document),
        "doors": _doors(document),
        "disk": _disk(document),
        "growth": _growth(document, measured),
        "errors": _errors(),
        "shards": _shards(measured),
        "load": _load(measured),
        "check": _check(document, measured),
    }


def filled(page: str, parts: Mapping[str, str], pattern: str = r"\w+") -> str:
    """Return a page with its generated parts put in between their markers; `pattern` is that of their names.

    Raises:
        ValueError: the page has other parts with such names than these.
    """
    names = re.findall(rf"^<!-- begin: ({pattern}) -->$", page, re.MULTILINE)
    if sorted(names) != sorted(parts):
        raise ValueError(f"got a page with parts {names}; expected {list(parts)}, each once")
    for name, text in parts.items():
        begin, end = f"<!-- begin: {name} -->\n", "<!-- end -->"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{text}\n\n{end}{rest.partition(end)[2]}"
    return page


def plot(document: Document) -> str:
    """Return the plot of the page: milliseconds by references, measured, expected, and with shards."""
    measured = Measured.of(document)
    gate = float(np.median(measured.gate))
    seen = [(float(size), Percentiles.of(times).p50) for size, times in measured.scans.items()]
    wide = fitted(document, 1024)
    sizes = [10 ** (power / 4) for power in range(12, 37)]
    sharded = [
        (float(size), fan_out(measured, size, max(1, size // 4_000_000))[0].p99)
        for size in (10**7, 3 * 10**7, 10**8, 3 * 10**8, 10**9)
    ]
    return svg(
        [
            Series("scan of 512 bits, one thread, measured (p50)", seen, "#1f77b4"),
            Series(
                "identify, one core, model",
                [(n, identify_ns(n, measured.scan, gate) / 1e6) for n in sizes],
                "#1f77b4",
                line=True,
            ),
            Series("the same, 1024 bits", [(n, identify_ns(n, wide, gate) / 1e6) for n in sizes], "#d62728", line=True),
            Series("shards of 4,000,000, simulated (p99)", sharded, "#2ca02c", line=True, dashed=True),
        ],
        "references",
        "milliseconds",
    )


def _machine(document: Document) -> str:
    machine, versions = document["machine"], document["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "volens")
    warning = " **A tiny run: these are no figures.**" if document["tiny"] else ""
    return (
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"Python {machine['python']}, {packages}; {document['minutes']:.0f} minutes, load before "
        f"{machine['load_before']:.2f}.{warning}"
    )


def _scans(document: Document) -> str:
    rows = []
    for one in document["engines"]:
        if one["threads"] != 1:
            continue
        (two,) = [
            other
            for other in document["engines"]
            if (other["bits"], other["size"], other["threads"]) == (one["bits"], one["size"], 2)
        ]
        alone, split, both = (Percentiles.of(ns) for ns in (one["scan_ns"], two["scan_ns"], one["two_at_once_ns"]))
        batch = Percentiles.of(one["batch_ns"]).p50 / BATCH
        model = fitted(document, one["bits"]).ns(one["size"]) / 1e6
        sketches = one["size"] * one["bits"] / 8
        rows.append(
            [
                f"{one['size']:,}",
                str(one["bits"]),
                f"{_ms(alone.p50)} / {_ms(alone.p99)}",
                _ms(model),
                f"{_ms(split.p50)} / {_ms(split.p99)}",
                f"{2 * alone.p50 / both.p50:.2f}",
                f"{_ms(batch)} ({alone.p50 / batch:.1f})",
                f"{1e6 * alone.p50 / one['size']:.2f}",
                f"{sketches / alone.p50 / 1e6:.1f}",
            ]
        )
    head = [
        "references",
        "bits",
        "one thread, p50 / p99 ms",
        "model",
        "two threads",
        "throughput of two doors / of one",
    ]
    return _table([*head, f"batch of {BATCH}, ms per probe (speedup)", "ns per reference", "GB/s"], rows)


def _memory(document: Document) -> str:
    rows = []
    for one in document["engines"]:
        if one["threads"] != 1:
            continue
        sketch = one["bits"] / 8
        each, resident = one["engine_bytes"] / one["size"], one["resident_bytes"] / one["size"]
        add, remove = (np.percentile(one[kind], [50, 99]) / 1e3 for kind in ("add_ns", "remove_ns"))
        rows.append(
            [
                f"{one['size']:,}",
                str(one["bits"]),
                f"{each:.1f}",
                f"{resident:.1f}" if one["size"] * sketch > 4 << 20 else "too small to measure",
                f"{1.3 * sketch + 64:.1f}",
                f"{add[0]:.1f} / {add[1]:.1f}",
                f"{remove[0]:.1f} / {remove[1]:.1f}",
            ]
        )
    head = ["references", "bits", "bytes per reference, engine", "process", "goal", "add, p50 / p99 µs"]
    return _table([*head, "remove, p50 / p99 µs"], rows)


def _doors(document: Document) -> str:
    rows = [
        [
            str(one["dimension"]),
            f"{Percentiles.of(one['genuine_ns']).p50:.2f} / {Percentiles.of(one['stranger_ns']).p50:.2f}",
            f"{Percentiles.of(one['scan_ns']).p50:.2f}",
            f"{Percentiles.of(gate_ns(one)).p50:.2f} / {Percentiles.of(gate_ns(one)).p99:.2f}",
            f"{np.mean(one['genuine_opened']):.2f} / {np.mean(one['stranger_opened']):.2f}",
        ]
        for one in document["doors"]
    ]
    head = ["dimensions", "identification, enrolled / strangers, p50 ms"]
    return _table([*head, "scan", "gate, p50 / p99", "opened, enrolled / strangers"], rows)


def _disk(document: Document) -> str:
    """Return the bytes that one more reference took in each table."""
    grown = [
        {
            table: (size - one["tables_before"].get(table, 0)) / one["people"]
            for table, size in one["tables_after"].items()
        }
        for one in document["doors"]
    ]
    tables = sorted(
        (table for table in grown[-1] if max(each[table] for each in grown) >= 1),
        key=lambda table: float(grown[-1][table]),
    )
    rows = [[f"`{table}`", *(f"{each[table]:,.0f}" for each in grown)] for table in reversed(tables)]
    rows.append(["all files", *(f"{_disk_bytes(one):,.0f}" for one in document["doors"])])
    return _table(["table, with indexes", *(f"{one['dimension']} dimensions" for one in document["doors"])], rows)


def _disk_bytes(one: Mapping[str, Any]) -> float:
    """Return the bytes that one more reference took in the files of a home."""
    return float((sum(one["disk_after"].values()) - sum(one["disk_before"].values())) / one["people"])


def _growth(document: Document, measured: Measured) -> str:
    gate = float(np.median(measured.gate))
    (door,) = [one for one in document["doors"] if one["dimension"] == 512]  # noqa: PLR2004
    disk = _disk_bytes(door)
    each = _largest(document)["engine_bytes"] / _largest(document)["size"]
    rows = []
    for size in GROWTH:
        doors = doors_per_core(size, measured.scan, gate, probes_per_s=PROBES_PER_S, busy=BUSY)
        whole = identify_ns(size, measured.scan, gate)
        rows.append(
            [
                f"{size:,}",
                _bytes(size * each),
                _bytes(size * disk),
                _ms(measured.scan.ns(size) / 1e6),
                _ms(whole / 1e6),
                f"{gate / whole:.0%}",
                f"{1e9 / whole:,.1f}" if whole > 1e7 else f"{1e9 / whole:,.0f}",  # noqa: PLR2004
                f"{doors:,.1f}" if doors < 10 else f"{doors:,.0f}",  # noqa: PLR2004
            ]
        )
    head = ["references", "memory", "disk", "scan, ms", "identification, ms", "gate's share", "probes/s per core"]
    table = _table([*head, "doors per core"], rows)
    memory = document["machine"]["memory_bytes"]
    scan = measured.scan
    return (
        f"{table}\n\nA scan costs {scan.call_ns / 1e3:.0f} µs and {scan.cached_ns:.2f} ns for each reference while the "
        f"sketches fit the cache, {scan.memory_ns:.2f} ns beyond ({scan.bandwidth() / 1e9:.0f} GB/s); the gate "
        f"{gate / 1e6:.2f} ms. Half of this machine's memory holds {rows_in_memory(memory / 2, each):,} references; "
        f"within 100 ms one core scans {scan.rows_within(1e8):,}, within a second {scan.rows_within(1e9):,}."
    )


def _errors() -> str:
    rows = []
    for size in (*MEASURED_SIZES, *GROWTH):
        limit = SFACE.identification(size)
        cells = [
            f"{size:,}",
            f"{limit:.2f}",
            _share(false_identification_rate(size, limit, SFACE_EVEN)),
            _share(missed(limit)),
        ]
        for dimensions in (SFACE_EVEN, EVEN, 256):
            wanted = threshold_for(size, STRANGERS_ACCEPTED, dimensions)
            cells.append(f"{wanted:.2f} / {_share(missed(wanted))}")
        limit = threshold_for(size, STRANGERS_ACCEPTED, EVEN)
        both = [candidates(size, bits, limit, EVEN) for bits in (512, 1024)]
        cells.append(" / ".join(f"{one.within:,.0f}" for one in both))
        rows.append([*cells, " / ".join(f"{one.opened:.1f}" for one in both)])
    head = ["references", "SFace's limit", "strangers accepted", "people missed"]
    limits = [f"limit / missed, {dimensions:.0f} even dimensions" for dimensions in (SFACE_EVEN, EVEN, 256)]
    candidate = [f"{what}, {EVEN} even, 512 / 1024 bits" for what in ("estimated", "opened by strangers")]
    return _table([*head, *limits, *candidate], rows)


def _shards(measured: Measured) -> str:
    rows = []
    for size, counts in MACHINES.items():
        for shards in counts:
            observed, scale = measured.near(size / shards)
            plain, _ = fan_out(measured, size, shards)
            hedged, twice = fan_out(measured, size, shards, Hedge())
            rows.append(
                [
                    f"{size:,}",
                    f"{shards:,}",
                    f"{size // shards:,}",
                    _ms(float(np.median(observed)) * scale / 1e6),
                    _ms(plain.p50),
                    _ms(plain.p99),
                    f"{_ms(hedged.p50)} / {_ms(hedged.p99)}",
                    f"{twice:.0%}",
                ]
            )
    head = ["references", "shards", "rows per shard", "scan, ms", "answer, p50 ms", "p99 ms"]
    return _table([*head, "hedged answer, p50 / p99 ms", "requests sent twice"], rows)


def _load(measured: Measured) -> str:
    rows = []
    for size, shards in LOADS:
        for servers, busy in ((1, 0.3), (1, 0.6), (1, 0.9), (2, 0.3), (2, 0.6), (2, 0.9)):
            seen = under_load(measured, size, shards, servers, busy)
            probes = probes_at(measured, size, shards, servers, busy)
            rows.append(
                [
                    f"{size:,}",
                    f"{shards} x {servers}",
                    f"{busy:.0%}",
                    f"{probes:,.0f}",
                    f"{probes / PROBES_PER_S:,.0f}",
                    _ms(seen.p50),
                    _ms(seen.p99),
                ]
            )
    return _table(["references", "shards x cores", "busy", "probes/s", "doors", "answer, p50 ms", "p99 ms"], rows)


def _check(document: Document, measured: Measured) -> str:
    rows = []
    for one in checks(document, measured):
        cells = [str(one.shards), f"{_ms(one.measured.p50)} / {_ms(one.measured.p99)}"]
        for predicted in (one.from_engine, one.from_processes):
            p50, p99 = one.error(predicted)
            cells += [f"{_ms(predicted.p50)} / {_ms(predicted.p99)}", f"{p50:+.0%} / {p99:+.0%}"]
        rows.append(cells)
    head = [f"processes of {document['shards']['rows']:,} references", "measured, p50 / p99 ms"]
    return _table(
        [
            *head,
            "simulated from the engine's scans",
            "error",
            "simulated from the scans of one process per core",
            "error",
        ],
        rows,
    )


def _largest(document: Document) -> Mapping[str, Any]:
    of: list[Mapping[str, Any]] = [one for one in document["engines"] if (one["bits"], one["threads"]) == (512, 1)]
    return max(of, key=lambda one: int(one["size"]))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %" if value >= 1e-3 else "< 0.1 %"  # noqa: PLR2004


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e3:.3g} kB"


def main() -> None:
    """Write the page's tables and its plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, help="print the tables of these observations instead")
    arguments = parser.parse_args()
    document = json.loads((arguments.results or RESULTS).read_text(encoding="utf-8"))
    if arguments.results is not None:
        print("\n\n".join(blocks(document).values()))
        return
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), blocks(document)), encoding="utf-8")
    PLOT.write_text(plot(document), encoding="utf-8")


if __name__ == "__main__":
    main()
