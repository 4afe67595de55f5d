"""The load test for some seconds, with a kill in the middle; the same code as the two minutes of benchmarks/load."""

from pathlib import Path

import pytest
from patience import PATIENCE_S

from benchmarks.load.actors import actors
from benchmarks.load.checker import check
from benchmarks.load.run import History, Plan, run
from volens.face import ModelCache


def is_enough(history: History) -> bool:
    """Return whether people matched and withdrew, also after the kill."""
    since = history.killed_at or 0
    later = [one for one in history.decisions if one.span.began > since]
    return check(later, history.stays.values()).recognised > 0 and len(ended(history, since)) >= 3


def ended(history: History, since: int = 0) -> list[int]:
    """Return when withdrawals ended, after a moment."""
    spans = [one.withdrawn for one in history.stays.values() if one.withdrawn is not None]
    return [one.ended for one in spans if one.ended is not None and one.ended > since]


@pytest.mark.parametrize(("workers", "kill_at_s"), [(1, None), (2, 2.0)])
def test_after_a_withdrawal_no_door_matches_and_recipients_are_notified(
    tmp_path: Path, workers: int, kill_at_s: float | None
) -> None:
    ModelCache.default().pull()
    plan = Plan(seconds=4, doors=3, frames_per_s=3, kill_at_s=kill_at_s, workers=workers)

    history = run(tmp_path / "home", actors(3), plan, is_enough, at_most_s=PATIENCE_S)

    verdict = check(history.decisions, history.stays.values())
    assert verdict.holds, verdict
    assert is_enough(history)
    assert not verdict.missed
    assert len(ended(history)) == sum(one.withdrawn is not None for one in history.stays.values())
    assert {status for _what, status in history.statuses} <= {0, 200, 201, 503}
    unanswered = sum(count for (_what, status), count in history.statuses.items() if status == 0)
    # With several workers, the killed one may have no connection at that moment.
    assert unanswered > 0 if kill_at_s and workers == 1 else kill_at_s or unanswered == 0
