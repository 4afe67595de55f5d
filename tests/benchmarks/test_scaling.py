"""Scaling benchmark: the model agrees with hand calculation, the simulation with theory, the page with the data."""

import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from benchmarks.scaling import page
from benchmarks.scaling.__main__ import measured
from benchmarks.scaling.fan_out import Hedge, Network, answers, loaded, on_cores
from benchmarks.scaling.model import (
    Scan,
    candidates,
    doors_per_core,
    even_dimensions,
    false_identification_rate,
    false_match_rate,
    missed,
    rows_in_memory,
    scan_miss,
    threshold_for,
)
from volens.face.thresholds import SFACE, SFACE_MISSED_PER_100
from volens.index import ESTIMATE_DEVIATIONS, Projection, estimate_deviation
from volens.service.line_plot import Series, svg

NEAR: Final = Network(median_ns=1e-6, sigma=0.0)
NONSENSE: Final = r"\bnan\b|\binf\b|\| -\d"  # in the part "check" a difference may be negative
SCAN: Final = Scan(call_ns=10_000.0, cached_ns=1.0, memory_ns=2.0, row_bytes=64)


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    return measured(tiny=True, largest=10**7)


def random(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_scan_is_fitted_in_the_cache_and_beyond_it() -> None:
    observed = {size: [round(SCAN.ns(size))] * 5 for size in (1_000, 10_000, 100_000, 1_000_000, 10_000_000)}
    fit = Scan.fitted(observed, 64)
    assert fit.call_ns == pytest.approx(10_000, rel=0.01)
    assert (fit.cached_ns, fit.memory_ns) == (pytest.approx(1.0, rel=0.01), pytest.approx(2.0, rel=0.01))


def test_one_slow_query_does_not_move_the_fit() -> None:
    observed = {size: [round(SCAN.ns(size))] * 5 + [10**9] for size in (1_000, 10_000, 100_000)}
    assert Scan.fitted(observed, 64).cached_ns == pytest.approx(1.0, rel=0.01)


def test_a_fit_needs_two_sizes_in_the_cache() -> None:
    with pytest.raises(ValueError, match="got 1 sizes that fit the cache; expected at least 2"):
        Scan.fitted({1_000: [20_000], 10_000_000: [10**7]}, 64)


@pytest.mark.parametrize(
    ("times", "call_ns", "cached_ns"),
    [
        ({1_000: 20_000, 4_000: 10_000}, pytest.approx(12_000), pytest.approx(1e-3)),
        ({1_000: 1_000, 4_000: 9_000}, 0.0, pytest.approx(1.206, rel=1e-3)),
    ],
    ids=["a larger gallery was faster", "a small gallery was faster than a call"],
)
def test_a_fit_to_noise_has_no_negative_cost(times: dict[int, int], call_ns: float, cached_ns: float) -> None:
    fit = Scan.fitted({size: [time] * 5 for size, time in times.items()}, 64)
    assert (fit.call_ns, fit.cached_ns) == (call_ns, cached_ns)


def test_a_fit_to_noise_beyond_the_cache_has_no_negative_cost() -> None:
    fit = Scan.fitted({1_000: [20_000], 10_000: [20_000], 1_000_000: [100]}, 64)
    assert fit.call_ns > 0
    assert fit.memory_ns > 0


def test_time_and_memory_are_turned_into_rows_and_back() -> None:
    assert SCAN.ns(SCAN.rows_within(1e8)) == pytest.approx(1e8)
    assert SCAN.rows_within(1_000.0) == 0
    assert SCAN.bandwidth() == 32e9
    assert rows_in_memory(1e9, 80.0) == 12_500_000


def test_the_doors_of_a_core_follow_from_its_utilisation() -> None:
    # 20 ms of scan and 5 ms of gate: 40 probes in a busy second, 20 in a half busy one.
    size = (20e6 - SCAN.call_ns) / SCAN.memory_ns
    assert doors_per_core(size, SCAN, 5e6, probes_per_s=0.5, busy=0.5) == pytest.approx(40)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.9])
def test_scores_in_three_dimensions_are_even_so_the_false_match_rate_is_known(threshold: float) -> None:
    assert false_match_rate(threshold, 3) == pytest.approx((1 - threshold) / 2, rel=1e-6)


def test_the_false_match_rate_is_that_of_random_directions() -> None:
    rng, dimension = random(), 24
    faces, probes = (rng.standard_normal((count, dimension)) for count in (4000, 200))
    scores = probes @ faces.T / np.linalg.norm(probes, axis=1)[:, None] / np.linalg.norm(faces, axis=1)
    assert false_match_rate(0.5, dimension) == pytest.approx(float(np.mean(scores >= 0.5)), rel=0.1)


def test_even_dimensions_give_back_the_rate_that_they_were_derived_from() -> None:
    assert false_match_rate(0.363, even_dimensions(0.363, 0.0013)) == pytest.approx(0.0013, rel=1e-3)
    with pytest.raises(ValueError, match=r"got threshold 0.0; expected one above 0"):
        even_dimensions(0.0, 0.01)


def test_a_larger_gallery_takes_more_strangers_or_misses_more_people() -> None:
    sizes = [10**power for power in range(3, 10)]
    taken = [false_identification_rate(size, 0.5, 128) for size in sizes]
    limits = [threshold_for(size, 0.01, 128) for size in sizes]
    assert taken == sorted(taken)
    assert limits == sorted(limits)
    assert [false_identification_rate(size, limit, 128) for size, limit in zip(sizes, limits, strict=True)] == [
        pytest.approx(0.01, rel=1e-2)
    ] * len(sizes)
    assert missed(0.6) == 0.5


def test_doctor_and_zone_add_quote_the_computed_error_rates() -> None:
    computed = {size: round(100 * missed(SFACE.identification(size))) for size in SFACE_MISSED_PER_100}
    assert computed == SFACE_MISSED_PER_100
    accepted = [
        false_identification_rate(size, SFACE.identification(size), page.SFACE_EVEN) for size in SFACE_MISSED_PER_100
    ]
    assert max(accepted) < 0.01


def test_as_many_are_opened_for_a_stranger_as_the_projection_selects() -> None:
    size, dimension, threshold = 20_000, 128, 0.4
    rng, projection = random(), Projection(bytes(32), dimension)
    faces = rng.standard_normal((size, dimension)).astype(np.float32)
    sketches = np.packbits(faces @ projection._rows.T >= 0, axis=1)
    limit = threshold - ESTIMATE_DEVIATIONS * estimate_deviation(threshold, projection.bits)
    seen = []
    for probe in rng.standard_normal((20, dimension)).astype(np.float32):
        rotated = projection.rotated(probe / np.linalg.norm(probe))
        seen.append(int(np.sum(projection.estimates(rotated, sketches) >= limit)))
    assert candidates(size, projection.bits, threshold, dimension).opened == pytest.approx(np.mean(seen), rel=0.25)


def test_only_near_references_are_opened() -> None:
    found = candidates(10**7, 512, 0.4, 64)
    assert 0 < found.opened <= found.within


def test_a_reference_at_the_threshold_is_missed_as_often_as_the_core_says() -> None:
    assert scan_miss(0.5, 512, 0.5) == pytest.approx(6e-3, rel=0.05)
    assert scan_miss(0.6, 512, 0.5) < 1e-4


def test_an_answer_waits_for_the_slowest_shard() -> None:
    observed = np.linspace(0.0, 1.0, 1001)
    for shards in (1, 4, 64):
        times, twice = answers(observed, shards, NEAR, random(), queries=20_000)
        assert times.mean() == pytest.approx(shards / (shards + 1), rel=0.02)
        assert twice == 0.0


def test_a_network_has_the_given_median() -> None:
    times, _ = answers(np.zeros(1), 1, Network(median_ns=3.0), random(), queries=20_000)
    assert np.median(times) == pytest.approx(3.0, rel=0.03)


def test_a_second_replica_helps_against_the_rare_slow_shard() -> None:
    observed = np.array([1.0] * 98 + [100.0] * 2)
    plain, _ = answers(observed, 32, NEAR, random())
    hedged, twice = answers(observed, 32, NEAR, random(), hedge=Hedge(after=0.97))
    assert np.percentile(plain, 90) == pytest.approx(100.0)
    assert np.percentile(hedged, 90) == pytest.approx(2.0, rel=0.01)
    assert twice == pytest.approx(0.02, abs=0.005)
    assert (hedged <= plain).all()


@pytest.mark.parametrize("busy", [0.3, 0.7])
def test_queues_are_as_long_as_theory_says(busy: float) -> None:
    # Pollaczek and Khinchine: mean wait of M/G/1 = busy / (1 - busy) * (1 + squared variation) / 2 * mean service.
    for observed, variation in ((np.full(10, 1e6), 0.0), (random().exponential(1e6, 200_000), 1.0)):
        times = loaded(observed, 1, 1, busy * 1e3, NEAR, random(2), queries=40_000)
        expected = 1e6 * (1 + busy / (1 - busy) * (1 + variation) / 2)
        assert times.mean() == pytest.approx(expected, rel=0.1)


def test_two_cores_wait_as_erlang_says() -> None:
    observed, busy = random().exponential(1e6, 200_000), 0.7
    times = loaded(observed, 1, 2, 2 * busy * 1e3, NEAR, random(2), queries=40_000)
    # M/M/2: mean sojourn = service / (1 - busy ** 2).
    assert times.mean() == pytest.approx(1e6 / (1 - busy**2), rel=0.1)


def test_shards_on_one_machine_take_turns_on_its_cores() -> None:
    for shards, expected in ((1, 11.0), (2, 11.0), (3, 21.0), (8, 41.0)):
        assert set(on_cores(np.full(3, 10.0), shards, 2, np.ones(3), random(), queries=10)) == {expected}


def test_the_same_seed_gives_the_same_simulation_and_another_another() -> None:
    observed = random().exponential(1e6, 500)

    def simulated(seed: int) -> list[bytes]:
        return [
            answers(observed, 8, Network(), random(seed), hedge=Hedge())[0].tobytes(),
            loaded(observed, 8, 2, 100.0, Network(), random(seed)).tobytes(),
            on_cores(observed, 8, 2, observed, random(seed)).tobytes(),
        ]

    assert simulated(5) == simulated(5)
    assert not set(simulated(5)) & set(simulated(6))


def test_a_tiny_run_has_every_raw_observation_and_makes_every_table(tiny: dict[str, Any]) -> None:
    document = json.loads(json.dumps(tiny))
    engines = document["engines"]
    assert {(one["bits"], one["size"], one["threads"]) for one in engines} == {
        (bits, size, threads) for bits in (512, 1024) for size in (1000, 4000) for threads in (1, 2)
    }
    assert all(len(one["scan_ns"]) >= 30 and all(isinstance(ns, int) for ns in one["scan_ns"]) for one in engines)
    assert all(one["engine_bytes"] >= one["size"] * one["bits"] / 8 for one in engines)
    (run,) = document["shards"]["runs"]
    assert all(max(scans) < answer for scans, answer in zip(run["scan_ns"], run["answer_ns"], strict=True))
    for door in document["doors"]:
        assert (len(door["genuine_ns"]), len(door["stranger_ns"]), len(door["scan_ns"])) == (5, 5, 10)
        assert sum(door["disk_after"].values()) >= sum(door["disk_before"].values())
    parts = page.blocks(document)
    assert "these are no figures" in parts["machine"]
    assert not any(re.search(NONSENSE, text) for name, text in parts.items() if name != "check")


@pytest.mark.parametrize("seed", range(5))
def test_a_page_can_be_derived_from_times_that_are_noise(tiny: dict[str, Any], seed: int) -> None:
    rng, document = random(seed), json.loads(json.dumps(tiny))
    for engine in document["engines"]:
        pace = 10 ** rng.uniform(3, 7)  # independent of its size
        for name in ("scan_ns", "two_at_once_ns", "batch_ns"):
            if name in engine:
                engine[name] = [1 + int(one) for one in rng.exponential(pace, len(engine[name]))]
    parts = page.blocks(document)
    assert not any(re.search(NONSENSE, text) for name, text in parts.items() if name != "check")


def test_a_page_with_other_parts_is_refused_and_the_rest_of_a_page_is_kept() -> None:
    with pytest.raises(ValueError, match=r"got a page with parts \['a'\]"):
        page.filled("<!-- begin: a -->\n<!-- end -->\n", {"b": "text"})
    empty = "before\n<!-- begin: a -->\n<!-- end -->\nbetween\n<!-- begin: b -->\nold\n<!-- end -->\nafter\n"
    once = page.filled(empty, {"a": "new", "b": "newer"})
    assert once == (
        "before\n<!-- begin: a -->\n\nnew\n\n<!-- end -->\nbetween\n<!-- begin: b -->\n\nnewer\n\n<!-- end -->\nafter\n"
    )
    assert page.filled(once, {"a": "new", "b": "newer"}) == once


def test_the_page_and_its_plot_show_the_stored_observations() -> None:
    document = json.loads(page.RESULTS.read_text(encoding="utf-8"))
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text, page.blocks(document)) == text
    assert page.PLOT.read_text(encoding="utf-8") == page.plot(document)
    assert not document["tiny"]


def test_a_plot_is_svg_and_refuses_what_its_axes_cannot_show() -> None:
    drawn = svg([Series("a < b", [(10.0, 1.0), (1000.0, 5.0)], "red", line=True)], "x", "y")
    root = ET.fromstring(drawn)  # noqa: S314  our own text
    assert root.tag.endswith("svg")
    assert "a < b" in [element.text for element in root.iter()]
    with pytest.raises(ValueError, match="got no values, or some that are not above 0"):
        svg([Series("zero", [(1.0, 0.0)], "red")], "x", "y")
    assert math.isfinite(float(root.attrib["viewBox"].split()[2]))
    assert Path(page.PLOT).suffix == ".svg"
