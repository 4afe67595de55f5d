"""The latency benchmark: its table is derived from the observations, and the page has the table."""

import json
from pathlib import Path

from benchmarks.latency.__main__ import PAGE, RESULTS, table, write

OBSERVED = {
    "identify_ns": {"files": [1_000_000] * 10, "far": [2_000_000] * 5 + [4_000_000] * 5},
    "trip_ns": {"far": [500_000] * 10},
    "zone_ns": {"files": [100_000] * 3, "far": [600_000] * 3},
    "visit_ns": {"files": [5_000_000] * 3, "far": [20_000_000] * 3},
    "people": 100,
    "load": 1.25,
}


def test_the_table_has_medians_and_their_ratio_to_files() -> None:
    assert table(OBSERVED).splitlines()[2:] == [
        "| files | none | 1.00 / 1.00 | 1.0 | 0.10 | 5.0 |",
        "| far | 0.50 | 3.00 / 4.00 | 3.0 | 0.60 | 20.0 |",
        "",
        "100 people, 10 identifications for each way; load of the machine at the end: 1.2.",
    ]


def test_the_page_has_the_table_of_the_stored_observations(tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write(json.loads(RESULTS.read_text(encoding="utf-8")), copy)
    assert copy.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
