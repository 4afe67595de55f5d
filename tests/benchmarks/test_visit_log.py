"""Benchmark of visits in the log: it writes and verifies real shards, and derives its table from the observations."""

from benchmarks.visit_log import observe, table


def test_the_shards_are_real_and_the_table_is_derived_from_the_observations() -> None:
    seen = observe(1010, single=10, zones=2, rounds=1)
    assert (seen["shards"], seen["entries"], len(seen["write_ns"])) == (2, 1 + 1000 + 10, 10)
    fixed = {"entries": 1000, "verify_ns": [30_000_000], "verify_without_openings_ns": [20_000_000], "write_ns": [3e6]}
    lines = table(seen | fixed | {"bytes": 500_000, "bytes_of": 1000}).splitlines()
    assert lines[2:5] == [
        "| one visit, written by itself, p50 | 3.0 ms |",
        "| one visit on disk | 500 bytes |",
        "| one visit, verified | 30 µs; 20 µs once it does not open any more |",
    ]
    assert "| a shard of 500 doors (20 zones): 1,041,666 visits | 31 s, 521 MB |" in lines
