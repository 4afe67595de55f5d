"""Attack E2: a search of the memory of a real service, from outside, after a withdrawal over HTTP."""

from pathlib import Path

import pytest

from benchmarks.service_memory import longest_run, observe
from volens.face import ModelCache


@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_withdrawal_a_service_holds_nothing_that_an_attacker_needs(tmp_path: Path, workers: int) -> None:
    ModelCache.default().pull()

    found = observe(tmp_path / "home", workers)

    assert found.before["sketch"] == 128, "the search finds what is there"
    assert found.before["wrapped secret"] == 61
    assert found.after == {"wrapped secret": 0, "sealed embedding": 0, "sketch": 0}
    assert not found.opened


@pytest.mark.parametrize(
    ("kept", "expected"), [(slice(0, 61), 61), (slice(37, 61), 24), (slice(5, 29), 24), (slice(5, 28), 0)]
)
def test_the_search_finds_every_run_that_is_long_enough(kept: slice, expected: int) -> None:
    value = bytes(range(1, 62))

    assert longest_run(bytes(100) + value[kept] + bytes(100), value, 24) == expected
