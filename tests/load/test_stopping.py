"""The benchmark of stops measures real withdrawals, and its verdict finds a stop that is late."""

from pathlib import Path

import pytest

from benchmarks.load.stopping import Stops, holds, measure
from volens.face import ModelCache


@pytest.mark.parametrize(
    ("stops", "verdict"),
    [
        pytest.param(Stops([0, 49], identify=[20, 21]), True, id="within the goal"),
        pytest.param(Stops([0, 51], identify=[20, 21]), False, id="one stop is late"),
        pytest.param(Stops([0, 51], identify=[30, 31]), True, id="frames take longer on this machine"),
        pytest.param(Stops([0, 0], identify=[20, 21], late=1), False, id="a match after the response"),
    ],
)
def test_a_late_stop_is_found(stops: Stops, *, verdict: bool) -> None:
    assert holds(stops) is verdict


def test_frames_are_matched_until_the_withdrawal_and_never_after_its_response(tmp_path: Path) -> None:
    ModelCache.default().pull()
    found = measure(tmp_path / "home", withdrawals=2, doors=1)
    assert (len(found.matched), len(found.told), len(found.answered), found.late) == (2, 2, 2, 0)
    assert len(found.identify) >= 2 * 6  # that many matched before
    assert all(0 <= matched <= answered for matched, answered in zip(found.matched, found.answered, strict=True))
