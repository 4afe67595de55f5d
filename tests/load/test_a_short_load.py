"""The load test, ten seconds of it, with a kill in the middle: the same code as the two minutes of benchmarks/load."""

from pathlib import Path

import pytest

from benchmarks.load.actors import actors
from benchmarks.load.checker import check
from benchmarks.load.run import Plan, run
from volens.face import ModelCache


@pytest.mark.parametrize(("workers", "kill_at_s"), [(1, None), (1, 4.0), (2, 4.0)])
def test_nobody_is_known_after_they_left_and_every_erasure_is_told(
    tmp_path: Path, workers: int, kill_at_s: float | None
) -> None:
    ModelCache.default().pull()
    plan = Plan(seconds=10, doors=3, frames_per_s=3, kill_at_s=kill_at_s, workers=workers)

    history = run(tmp_path / "home", actors(3), plan)

    verdict = check(history.decisions, history.stays.values())
    assert verdict.holds, verdict
    assert verdict.recognised > 0
    assert not verdict.missed
    ended = [one for one in history.stays.values() if one.withdrawn is not None]
    assert len(ended) >= 3
    assert all(one.withdrawn is not None and one.withdrawn.ended is not None for one in ended)
    assert {status for _what, status in history.statuses} <= {0, 200, 201, 503}
    assert (sum(count for (_what, status), count in history.statuses.items() if status == 0) > 0) == bool(kill_at_s)
