"""The trigger of a door as a pure state machine: who may be embedded, and when not any more."""

import math
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.consent import InputError
from volens.consent.zone import Trigger
from volens.identify.trigger import AskRules, DoorTrigger, SeenFace, parse_region

RULES = AskRules(near=0.06, region=(0.2, 0.0, 0.8, 1.0), dwell_s=1.0, timeout_s=5.0)
STEP_S = 0.1


def face(track: int = 1, eyes: float = 0.08, x: float = 0.5, y: float = 0.5) -> SeenFace:
    return SeenFace(track, eyes, x, y)


def asked_at(trigger: DoorTrigger, faces: list[SeenFace], until_s: float, start_s: float = 0.0) -> list[float]:
    """Return the times at which the first of some faces may be embedded."""
    times = [start_s + STEP_S * number for number in range(round((until_s - start_s) / STEP_S))]
    return [at for at in times if faces[0].track in trigger.askers(Trigger.NEAR, faces, at)]


def test_a_face_that_is_near_for_the_dwell_asks_until_the_timeout() -> None:
    times = asked_at(DoorTrigger(RULES), [face()], 20)
    assert times[0] == pytest.approx(1.0)
    assert times[-1] == pytest.approx(1.0 + 5.0 - STEP_S)


@pytest.mark.parametrize(
    "one",
    [face(eyes=0.0599), face(x=0.19), face(x=0.81), face(y=1.1), face(y=-0.1), face(eyes=math.nan), face(x=math.nan)],
)
def test_a_face_that_is_far_or_outside_the_region_never_asks(one: SeenFace) -> None:
    trigger = DoorTrigger(RULES)
    trigger.request(0.0)
    assert asked_at(trigger, [one], 20) == []


def test_a_face_that_leaves_before_the_dwell_does_not_ask_and_begins_anew() -> None:
    trigger = DoorTrigger(RULES)
    assert asked_at(trigger, [face()], 0.9) == []
    assert trigger.askers(Trigger.NEAR, [face(eyes=0.05)], 0.9) == set()
    assert asked_at(trigger, [face()], 3.0, start_s=1.0)[0] == pytest.approx(2.0)


def test_a_missed_detection_does_not_break_the_dwell_and_a_longer_absence_does() -> None:
    trigger = DoorTrigger(RULES)
    for at_s in (0.0, 0.5, 0.9):
        assert trigger.askers(Trigger.NEAR, [] if at_s == 0.5 else [face()], at_s) == set()
    assert trigger.askers(Trigger.NEAR, [face()], 1.1) == {1}
    assert trigger.askers(Trigger.NEAR, [], 1.7) == set()
    assert trigger.askers(Trigger.NEAR, [face()], 2.2) == set()


def test_a_decision_ends_it_and_the_face_asks_again_only_after_it_was_away() -> None:
    trigger = DoorTrigger(RULES)
    assert asked_at(trigger, [face()], 1.1)
    trigger.decided(1)
    assert asked_at(trigger, [face()], 30.0, start_s=1.2) == []
    trigger.askers(Trigger.NEAR, [face(x=0.1)], 30.0)
    assert asked_at(trigger, [face()], 32.0, start_s=30.1)[0] == pytest.approx(31.1)


@pytest.mark.parametrize("kind", [Trigger.NEAR, Trigger.REQUEST])
def test_a_request_asks_at_once_for_the_largest_face_that_is_near(kind: Trigger) -> None:
    trigger = DoorTrigger(RULES)
    faces = [face(1, eyes=0.07), face(2, eyes=0.09), face(3, eyes=0.03), face(4, eyes=0.2, x=0.95)]
    assert trigger.askers(kind, faces, 0.0) == set()
    trigger.request(0.1)
    assert trigger.askers(kind, faces, 0.2) == {2}
    trigger.decided(2)
    assert not trigger.is_requested(0.3)
    assert trigger.askers(kind, faces, 0.3) == set()


def test_a_request_stays_with_the_face_it_chose_until_that_is_not_near_any_more() -> None:
    trigger = DoorTrigger(RULES)
    trigger.request(0.0)
    assert trigger.askers(Trigger.REQUEST, [face(1, eyes=0.08), face(2, eyes=0.07)], 0.0) == {1}
    assert trigger.askers(Trigger.REQUEST, [face(1, eyes=0.08), face(2, eyes=0.09)], 0.1) == {1}
    assert trigger.askers(Trigger.REQUEST, [], 0.2) == set()  # a missed detection
    assert trigger.askers(Trigger.REQUEST, [face(1, eyes=0.08), face(2, eyes=0.09)], 0.25) == {1}
    assert trigger.askers(Trigger.REQUEST, [face(1, eyes=0.03), face(2, eyes=0.09)], 0.3) == {2}
    trigger.request(0.4)
    assert trigger.askers(Trigger.REQUEST, [face(1, eyes=0.1), face(2, eyes=0.09)], 0.4) == {1}


def test_a_request_ends_after_the_timeout_and_a_new_one_asks_for_the_same_face() -> None:
    trigger = DoorTrigger(RULES)
    for start_s in (0.0, 10.0):
        trigger.request(start_s)
        assert trigger.askers(Trigger.REQUEST, [face()], start_s + 4.9) == {1}
        assert trigger.askers(Trigger.REQUEST, [face()], start_s + 5.0) == set()


def test_a_decision_about_another_face_does_not_end_a_request() -> None:
    trigger = DoorTrigger(RULES)
    both = [face(1), face(2, eyes=0.1)]
    assert asked_at(trigger, both, 1.1)
    trigger.request(1.1)
    assert trigger.askers(Trigger.NEAR, both, 1.2) == {1, 2}
    trigger.decided(1)
    assert trigger.is_requested(1.3)


def test_without_a_request_a_zone_for_requests_lets_no_face_ask() -> None:
    trigger = DoorTrigger(RULES)
    assert not any(trigger.askers(Trigger.REQUEST, [face(eyes=0.3)], at * STEP_S) for at in range(100))


def test_a_zone_for_passing_asks_for_every_face_and_a_photo_asks_without_dwell() -> None:
    far = [face(1, eyes=0.01), face(2, x=0.01)]
    assert DoorTrigger(RULES).askers(Trigger.PASSING, far, 0.0) == {1, 2}
    assert DoorTrigger(RULES).askers(Trigger.NEAR, [*far, face(3)], 0.0, photo=True) == {3}
    assert DoorTrigger(RULES).askers(Trigger.REQUEST, [face(3)], 0.0, photo=True) == set()


def test_a_clock_that_goes_back_neither_lengthens_a_request_nor_shortens_a_dwell() -> None:
    trigger = DoorTrigger(RULES)
    trigger.request(100.0)
    assert trigger.askers(Trigger.NEAR, [face()], 105.0) == set()
    assert not trigger.is_requested(3.0)
    assert trigger.askers(Trigger.NEAR, [face()], 3.0) == set()
    assert trigger.askers(Trigger.NEAR, [face()], 106.0) == {1}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"near": 0.0}, "change --near"),
        ({"near": math.nan}, "expected 0.02 to 0.5"),
        ({"near": 0.9}, "--trigger passing"),
        ({"region": (0.5, 0.0, 1.2, 1.0)}, "each from 0 to 1"),
        ({"region": (-0.1, 0.0, 0.5, 1.0)}, "got region -0.1,0,0.5,1"),
        ({"region": (0.8, 0.0, 0.2, 1.0)}, "left less than right"),
        ({"region": (0.2, 1.0, 0.8, 0.0)}, "top less than bottom"),
        ({"region": (math.nan, 0.0, 0.8, 1.0)}, "got region nan"),
        ({"region": (0.0, 0.0, math.inf, 1.0)}, "change --region"),
        ({"dwell_s": -1.0}, "got a dwell of -1 s"),
        ({"dwell_s": math.nan}, "change --dwell"),
        ({"dwell_s": 0.0}, "expected 0.3 to 10"),
        ({"timeout_s": 0.0}, "change --ask-timeout"),
        ({"timeout_s": math.inf}, "expected 1 to 60"),
    ],
)
def test_rules_out_of_range_are_refused_in_one_sentence(bad: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        AskRules(**bad)


@pytest.mark.parametrize("text", ["", "1,2,3", "0,0,1,1,1", "a,0,1,1", "0;0;1;1", "0,0,1," + "1" * 50])
def test_a_region_that_is_not_four_numbers_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected four numbers"):
        parse_region(text)


def test_a_region_is_read_as_it_is_written() -> None:
    assert parse_region(" 0.25, 0 ,0.75,1") == (0.25, 0.0, 0.75, 1.0)


SEEN = st.builds(SeenFace, st.integers(1, 3), st.floats(0, 0.3), st.floats(0, 1), st.floats(0, 1))
FRAMES = st.lists(
    st.tuples(
        st.floats(0, 2),
        st.lists(SEEN, max_size=3, unique_by=lambda one: one.track),
        st.booleans(),
        st.booleans(),
    ),
    max_size=40,
)


@given(FRAMES, st.sampled_from([Trigger.NEAR, Trigger.REQUEST]))
def test_only_a_near_face_with_a_dwell_or_a_request_is_ever_embedded(
    frames: list[tuple[float, list[SeenFace], bool, bool]], kind: Trigger
) -> None:
    trigger, now_s = DoorTrigger(RULES), 0.0
    near_since: dict[Hashable, float] = {}
    requested_s = -math.inf
    for wait_s, faces, asks, decides in frames:
        now_s += wait_s
        if asks:
            trigger.request(now_s)
            requested_s = now_s
        near = {one.track: one for one in faces if one.eye_distance >= 0.06 and 0.2 <= one.x <= 0.8}
        away = {one.track for one in faces} - set(near)
        near_since = {track: at for track, at in near_since.items() if track not in away}
        for track in near:
            near_since.setdefault(track, now_s)
        is_requested = now_s - requested_s < RULES.timeout_s
        found = trigger.askers(kind, faces, now_s)
        assert found <= set(near)
        for track in found:
            dwelled = kind is Trigger.NEAR and now_s - near_since[track] >= RULES.dwell_s
            assert dwelled or (is_requested and track == trigger.requested_for)
            if decides:
                trigger.decided(track)


@given(st.lists(st.floats(0, 0.4), min_size=1, max_size=60))
def test_no_face_is_embedded_for_longer_than_the_timeout_without_a_new_request(steps: list[float]) -> None:
    trigger, now_s, asked = DoorTrigger(RULES), 0.0, []
    for step in steps:
        now_s += step
        if trigger.askers(Trigger.NEAR, [face()], now_s):
            asked.append(now_s)
    assert not asked or asked[-1] - asked[0] < RULES.timeout_s
