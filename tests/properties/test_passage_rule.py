"""The passage rule, over all sequences of looks: when a visit is decided, and how many chances a stranger gets."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.consent import ReferenceId
from volens.identify import FaceVisit, VisitState
from volens.identify.passage import AGAIN_S, DECIDE_WITHIN_S, LONGEST_PAUSE_S, LOOK_EVERY_S, LOOKS, PAUSE_S

ADA, BOB, CY = (ReferenceId(one) for one in (1, 2, 3))
FINDINGS = st.lists(st.sampled_from([None, ADA, BOB, CY]), min_size=1, max_size=40)
RATES = st.sampled_from([1, 2, 5, 10, 15, 25, 30])
SLACK_S = 1e-6


def frame(visit: FaceVisit, found: ReferenceId | None, at_s: float) -> bool:
    """Show a frame to a visit, as a stream does, and return whether it was looked at."""
    is_look = visit.is_due(at_s)
    if is_look:
        visit.look(found, at_s)
    visit.settle(at_s)
    return is_look


def oracle(looks: Sequence[ReferenceId | None]) -> tuple[int, ReferenceId] | None:
    """Return the first look after which two of the last three are the same, and that reference; None without one."""
    for end in range(1, len(looks) + 1):
        last = looks[max(0, end - LOOKS) : end]
        for one in (ADA, BOB, CY):
            if last.count(one) == 2:
                return end, one
    return None


@given(FINDINGS, RATES)
def test_a_visit_is_recognised_by_the_first_two_of_three_looks_that_agree(
    findings: list[ReferenceId | None], frames_per_s: int
) -> None:
    visit, looks = FaceVisit(), list[ReferenceId | None]()
    for number, found in enumerate(findings):
        if frame(visit, found, number / frames_per_s):
            looks.append(found)
        if visit.state is not VisitState.LOOKING:
            break
    expected = oracle(looks)
    if visit.state is VisitState.RECOGNISED:
        assert expected == (len(looks), visit.reference_id)
    else:
        assert expected is None
        assert visit.reference_id is None


@given(FINDINGS, RATES)
def test_a_visit_is_decided_once_and_within_its_time_limit(
    findings: list[ReferenceId | None], frames_per_s: int
) -> None:
    visit, began_at = FaceVisit(), 10.0
    for number, found in enumerate(findings):
        at_s = began_at + number / frames_per_s
        frame(visit, found, at_s)
        if at_s - began_at >= DECIDE_WITHIN_S:
            assert visit.decisions >= 1
        elif visit.state is VisitState.NOT_RECOGNISED:
            raise AssertionError("a visit was given up before its time")
        else:
            assert visit.decisions <= 1 or visit.state is VisitState.RECOGNISED


@given(st.lists(st.sampled_from([None, ADA, BOB, CY]), min_size=200, max_size=200), RATES)
def test_looks_are_spaced_in_any_state(findings: list[ReferenceId | None], frames_per_s: int) -> None:
    visit, looked_at = FaceVisit(), list[float]()
    for number, found in enumerate(findings):
        if frame(visit, found, number / frames_per_s):
            looked_at.append(number / frames_per_s)
    gaps = [later - earlier for earlier, later in pairwise(looked_at)]
    assert all(gap >= LOOK_EVERY_S - SLACK_S for gap in gaps)


@pytest.mark.parametrize("frames_per_s", [1, 5, 10, 25, 30])
def test_a_stranger_who_stays_a_minute_gets_five_visits_and_few_looks(frames_per_s: int) -> None:
    visit = FaceVisit()
    looks = sum(frame(visit, None, number / frames_per_s) for number in range(60 * frames_per_s))
    assert visit.decisions == 5  # they begin at 0, 4.5, 12, 25.5 and 51 s
    most = DECIDE_WITHIN_S / LOOK_EVERY_S + 2
    assert looks <= 5 * most


def test_the_pause_doubles_up_to_a_minute_and_a_recognition_ends_that() -> None:
    visit, at_s, pauses = FaceVisit(), 0.0, list[float]()
    for _ in range(8):
        while visit.state is not VisitState.NOT_RECOGNISED:
            frame(visit, None, at_s)
            at_s += 0.1
        decided_at = at_s
        while not visit.is_due(at_s):
            at_s += 0.1
        pauses.append(at_s - decided_at)
        frame(visit, None, at_s)
    assert pauses[0] == pytest.approx(PAUSE_S, abs=0.2)
    assert pauses[1] == pytest.approx(2 * PAUSE_S, abs=0.2)
    assert max(pauses) == pauses[-1] == pytest.approx(LONGEST_PAUSE_S, abs=0.2)
    for _ in range(2):
        at_s += LOOK_EVERY_S
        frame(visit, ADA, at_s)
    assert (visit.state, visit.refusals) == (VisitState.RECOGNISED, 0)


@given(st.integers(0, 9))
def test_at_ten_frames_a_second_the_second_good_look_decides_within_three_frames(bad_frames: int) -> None:
    visit = FaceVisit()
    looked = list[bool]()
    for number in range(bad_frames + 10):
        good = number >= bad_frames
        is_look = frame(visit, ADA if good else None, number / 10)
        looked.append(good and is_look)
        if visit.state is VisitState.RECOGNISED:
            second_good_frame = bad_frames + 1
            assert (number - second_good_frame) / 10 <= 0.3
            assert sum(looked) == 2, "the decision comes with the second good look"
            return
    raise AssertionError("never recognised")


@given(FINDINGS)
def test_a_claim_is_confirmed_by_its_best_look(findings: list[ReferenceId | None]) -> None:
    own = [one if one is ADA else None for one in findings]
    visit = FaceVisit(agreeing=1)
    for number, found in enumerate(own):
        frame(visit, found, number * LOOK_EVERY_S)
        if visit.state is not VisitState.LOOKING:
            break
    within = own[: round(DECIDE_WITHIN_S / LOOK_EVERY_S) + 1]
    assert (visit.state is VisitState.RECOGNISED) == (ADA in within)


def test_a_recognised_face_that_another_replaces_begins_a_visit_of_its_own() -> None:
    visit, at_s = FaceVisit(), 0.0
    for found in (ADA, ADA):
        frame(visit, found, at_s)
        at_s += LOOK_EVERY_S
    assert not visit.is_due(at_s)
    at_s += AGAIN_S
    assert frame(visit, None, at_s)
    assert visit.reference_id == ADA, "one bad look changes nothing"
    for found in (BOB, BOB):
        at_s += LOOK_EVERY_S
        assert frame(visit, found, at_s)
    assert (visit.state, visit.reference_id, visit.decisions) == (VisitState.RECOGNISED, BOB, 2)


def test_a_face_that_cannot_be_compared_uses_no_chance() -> None:
    visit = FaceVisit()
    for number in range(30):
        if visit.is_due(number / 10):
            visit.could_not_compare(number / 10)
        visit.settle(number / 10)
    assert (visit.state, visit.decisions, visit.looks) == (VisitState.NOT_RECOGNISED, 1, 0)
    assert visit.is_due(3.0)
    for at_s in (3.0, 3.2):
        frame(visit, ADA, at_s)
    assert (visit.state, visit.looks) == (VisitState.RECOGNISED, 2)


def test_a_presented_factor_ends_the_pause() -> None:
    visit = FaceVisit()
    for number in range(20):
        frame(visit, None, number / 10)
    assert not visit.is_due(2.0)
    visit.look_now()
    assert frame(visit, ADA, 2.0)
    assert visit.looks == 1


@given(FINDINGS)
def test_only_ids_times_and_counts_live_between_looks(findings: list[ReferenceId | None]) -> None:
    visit = FaceVisit()
    for number, found in enumerate(findings):
        frame(visit, found, number / 5)
        assert len(visit.recent) <= LOOKS
        kept = [getattr(visit, name) for name in FaceVisit.__slots__]
        flat = [each for one in kept for each in (one if isinstance(one, tuple) else (one,))]
        assert all(one is None or isinstance(one, int | float | VisitState) for one in flat)


@given(FINDINGS, RATES)
def test_the_looks_of_a_claim_are_no_looks_of_a_search(findings: list[ReferenceId | None], frames_per_s: int) -> None:
    visit = FaceVisit()
    visit.begin(agreeing=1)
    for number, found in enumerate(findings):
        frame(visit, found, number / frames_per_s)
    visit.end_claim()
    visit.begin()
    began_s = len(findings) / frames_per_s
    assert frame(visit, ADA, began_s), "a visit that begins is looked at now, also in a pause"
    assert visit.state is VisitState.LOOKING
    assert frame(visit, ADA, began_s + LOOK_EVERY_S)
    assert visit.state is VisitState.RECOGNISED


def test_a_claim_that_ends_without_a_decision_leaves_no_looks_and_a_refused_one_its_pause() -> None:
    visit = FaceVisit()
    visit.begin(agreeing=1)
    frame(visit, None, 0.0)
    visit.end_claim()
    assert (visit.state, visit.looks, visit.agreeing) == (VisitState.LOOKING, 0, 2)

    visit.begin(agreeing=1)
    for at_s in (0.2, 1.0, 0.2 + DECIDE_WITHIN_S):
        frame(visit, None, at_s)
    visit.end_claim()
    assert (visit.state, visit.agreeing) == (VisitState.NOT_RECOGNISED, 2)
    assert not visit.is_due(1.7 + PAUSE_S - 0.1)
    assert visit.is_due(1.7 + PAUSE_S)
