"""Targets and their measured values, derived from the rows, so that no line claims more than its row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.matching.rows import BASELINE, IDENTIFY, WHOLE, Row, find
from volens.index import row_bytes

GRAPHS: Final = ("hnswlib", "usearch", "faiss-hnsw")
_SKETCH_BYTES_TIMES: Final = 1.3
_SKETCH_BYTES_MORE: Final = 64
_ROW_BYTES_TIMES: Final = 1.05
_SMALLEST: Final = 10_000
_SMALL: Final = 100_000
_GRAPH_SHARES: Final = {(128, 10_000): 1 / 2, (128, 100_000): 1 / 1.5}
"""The lowest speed, as a share of a graph's, by dimension and size."""
_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class Target:
    """One target.

    Attributes:
        said: description.
        limit: of the value.
        at_least: whether more is better; otherwise less is.
        value: measured, or None.
        unit: of both.
    """

    said: str
    limit: float
    at_least: bool
    value: float | None
    unit: str = ""

    @property
    def measured(self) -> str:
        """The measured value as text."""
        return "not measured" if self.value is None else f"{self.value:.4g}{self.unit}"

    @property
    def verdict(self) -> str:
        """Whether the target was reached, or by how much it was missed."""
        if self.value is None:
            return ""
        if self.value >= self.limit if self.at_least else self.value < self.limit:
            return "reached"
        return f"**missed** by {abs(self.value - self.limit):.4g}{self.unit}"


def targets(rows: Sequence[Row]) -> list[Target]:
    """Return every target, measured or not."""
    return [*_ratios(rows), *_scans(rows), *_everywhere(rows), *_graphs(rows), *_store(rows), *_throughput(rows)]


def _row(rows: Sequence[Row], name: str, task: str, size: int, dim: int = 512) -> Row | None:
    return find(rows, contestant=name, task=task, size=size, dim=dim)


def _value(row: Row | None, key: str = "p50_ms") -> float | None:
    return None if row is None else row[key]


def _over(top: float | None, bottom: float | None) -> float | None:
    return None if top is None or not bottom else top / bottom


def _ratios(rows: Sequence[Row]) -> Iterator[Target]:
    for size, limit in ((10_000, 3.0), (100_000, 15.0), (1_000_000, 20.0)):
        exact, whole = (_value(_row(rows, name, IDENTIFY, size)) for name in (BASELINE, WHOLE))
        said = f"{size:,} references, 512-d: at least {limit:g} times as fast as ungated exact search"
        yield Target(said, limit, at_least=True, value=_over(exact, whole), unit=" times")


def _scans(rows: Sequence[Row]) -> Iterator[Target]:
    for threads, limit in ((1, 60.0), (2, 35.0)):
        place = f"10,000,000 sketches, scan alone, {threads} thread{'s' * (threads > 1)}"
        found = [one for one in rows if (one["task"], one["size"], one["threads"]) == ("scan", 10_000_000, threads)]
        for row in found or [None]:
            k = row["settings"]["nearest"] if row else None
            nearest = "" if k is None else f", the {k} nearest" if k else ", all within the threshold"
            yield Target(f"{place}{nearest}: under {limit:g} ms", limit, at_least=False, value=_value(row), unit=" ms")


def _everywhere(rows: Sequence[Row]) -> Iterator[Target]:
    limits: tuple[tuple[str, str, str, float, bool, str], ...] = (
        (IDENTIFY, "agreement", "agreement with exact search at least 0.999", 0.999, True, ""),
        ("identify genuine", "sealed_opened", "genuine probes open fewer than 3 sealed embeddings", 3.0, False, ""),
        ("identify stranger", "sealed_opened", "strangers open fewer than 3 sealed embeddings", 3.0, False, ""),
        ("enroll", "p50_ms", "enroll to searchable without models under 20 ms", 20.0, False, " ms"),
    )
    for task, key, said, limit, at_least, unit in limits:
        for row in _of_volens(rows, task):
            place = f"{row['size']:,} references, {row['dim']}-d"
            yield Target(f"{place}: {said}", limit, at_least=at_least, value=row[key], unit=unit)
    for row in _of_volens(rows, "gate"):
        limit = 0.1 if row["size"] <= _SMALL else 0.3
        place = f"{row['size']:,} references, {row['dim']}-d"
        said = f"{place}: the gate itself under {limit:g} ms"
        yield Target(said, limit, at_least=False, value=row["p50_ms"], unit=" ms")
    for row in _of_volens(rows, IDENTIFY):
        if row["size"] <= _SMALLEST:
            place = f"{row['size']:,} references, {row['dim']}-d"
            yield Target(f"{place}: the whole under 0.3 ms", 0.3, at_least=False, value=row["p50_ms"], unit=" ms")


def _graphs(rows: Sequence[Row]) -> Iterator[Target]:
    for whole in _of_volens(rows, IDENTIFY):
        for name in GRAPHS:
            graph = find(rows, contestant=name, task=IDENTIFY, dim=whole["dim"], size=whole["size"])
            if graph is None:
                continue
            # In 128 dimensions a graph that checks nothing and forgets nothing is allowed to be faster.
            limit = _GRAPH_SHARES.get((whole["dim"], whole["size"]), 1.0)
            said = (
                f"{whole['size']:,} references, {whole['dim']}-d: at least {limit:.2g} times as fast as {name} tuned "
                f"to the same agreement (it reached {graph['agreement']:.4f})"
            )
            yield Target(said, limit, at_least=True, value=_over(graph["p50_ms"], whole["p50_ms"]), unit=" times")


def _store(rows: Sequence[Row]) -> Iterator[Target]:
    gone = _value(_row(rows, WHOLE, "withdraw", 1_000_000))
    yield Target("withdraw at 1,000,000, gallery part: under 0.1 ms", 0.1, at_least=False, value=gone, unit=" ms")
    for row in _of_volens(rows, IDENTIFY):
        sketch = row["settings"]["bits"] / _BITS
        limit = _SKETCH_BYTES_TIMES * sketch + _SKETCH_BYTES_MORE + _ROW_BYTES_TIMES * row_bytes(row["dim"])
        said = f"{row['size']:,} references, {row['dim']}-d: memory for each under {limit:.0f} bytes"
        yield Target(said, limit, at_least=False, value=row["bytes_each"], unit=" bytes")
    for size, limit in ((100_000, 0.8), (1_000_000, 2.0)):
        spent = _value(_row(rows, WHOLE, "open", size))
        said = f"{size:,} references, 512-d: searchable in under {limit:g} s after the process starts"
        yield Target(said, limit, at_least=False, value=_over(spent, 1000.0), unit=" s")


def _throughput(rows: Sequence[Row]) -> Iterator[Target]:
    better: tuple[tuple[str, str, float], ...] = (
        ("volens-batch-32", "32 probes at once: at least 4 times the throughput", 4.0),
        ("volens-2-threads", "two threads for each scan: at least 1.7 times the throughput", 1.7),
        ("volens-2-processes", "two processes: at least 1.7 times the throughput", 1.7),
    )
    for name, said, limit in better:
        for whole in _of_volens(rows, IDENTIFY):
            other = find(rows, contestant=name, task=IDENTIFY, dim=whole["dim"], size=whole["size"])
            value = _over(whole["mean_ms"], _value(other, "mean_ms"))
            place = f"{whole['size']:,} references, {whole['dim']}-d"
            yield Target(f"{place}: {said}", limit, at_least=True, value=value, unit=" times")


def _of_volens(rows: Sequence[Row], task: str) -> list[Row]:
    return [one for one in rows if one["contestant"] == WHOLE and one["task"] == task]
