"""Attack E2: a search of the memory of a real service, from outside, after a withdrawal over HTTP."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks.blind_search import looks_random, opens_with_a_key_in
from benchmarks.service_memory import RunSearch, observe
from volens.face import ModelCache
from volens.store.keys import Secret, seal


@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_withdrawal_a_service_holds_nothing_that_an_attacker_needs(tmp_path: Path, workers: int) -> None:
    ModelCache.default().pull()

    found = observe(tmp_path / "home", workers, blind=workers == 1)

    assert found.before["sketch"] == 128, "the search finds what is there"
    assert found.before["wrapped secret"] == 61
    assert found.after == {"wrapped secret": 0, "sealed embedding": 0, "sketch": 0}
    assert not found.opened
    assert (found.blind_before, found.blind_after) == (workers == 1, False)


@pytest.mark.parametrize(("at", "is_found"), [(0, True), (8, True), (1_000_000, True), (4, False)])
def test_the_blind_attempt_finds_a_key_at_every_address_that_it_tries(at: int, *, is_found: bool) -> None:
    bits = Random(at)
    with Secret(bits.randbytes(32)) as key:
        box = seal(bits.randbytes(32), key, b"whose", bits.randbytes)
        memory = bits.randbytes(at) + bytes(key.buffer) + bits.randbytes(1000)
    assert opens_with_a_key_in(memory, box, b"whose") is is_found
    assert not opens_with_a_key_in(memory, box, b"of another")


def test_nearly_every_random_key_is_tried() -> None:
    windows = np.random.default_rng(5).integers(0, 256, (100_000, 32), np.uint8)
    assert looks_random(windows).mean() > 0.999


@pytest.mark.parametrize(
    ("kept", "expected"), [(slice(0, 61), 61), (slice(37, 61), 24), (slice(5, 29), 24), (slice(5, 28), 0)]
)
def test_the_search_finds_every_run_that_is_long_enough(kept: slice, expected: int) -> None:
    value = bytes(range(1, 62))

    for before in range(100, 108):
        memory = bytes(before) + value[kept] + bytes(100)
        assert RunSearch({"it": value}, {"it": 24}).longest(memory) == {"it": expected}
