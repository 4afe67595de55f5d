"""The head-turn challenge under any sequence of looks."""

from hypothesis import given
from hypothesis import strategies as st

from volens.face.head_turn import RULE, HeadTurn, Side

LIMIT = 0.45
LOOKS = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 3), st.floats(-1, 1)), max_size=40)
"""Nose offset, seconds since the look before, and comparison score with the first look."""


def played(first: Side, looks: list[tuple[float, float, float]]) -> tuple[HeadTurn, list[float], list[float]]:
    turn, at_s, taken, scores = HeadTurn(first, 0.0, LIMIT), 0.0, [], []
    for offset, later, score in looks:
        at_s += later
        if turn.see(offset, at_s):
            taken.append(offset)
            if len(taken) > 1:
                turn.compare(score)
                scores.append(score)
    return turn, taken, scores


@given(first=st.sampled_from(Side), looks=LOOKS)
def test_whatever_passes_has_turned_both_ways_in_order_and_in_time(
    first: Side, looks: list[tuple[float, float, float]]
) -> None:
    turn, taken, scores = played(first, looks)
    if not turn.evidence().passed:
        return
    sign = 1 if first is Side.LEFT else -1
    begun, one, between, other, last = taken
    assert max(abs(begun), abs(between), abs(last)) <= RULE.max_ahead
    assert sign * one > RULE.min_turn
    assert -sign * other > RULE.min_turn
    assert min(scores) >= LIMIT


@given(first=st.sampled_from(Side), looks=LOOKS)
def test_the_mirror_image_has_the_same_result_for_the_other_side(
    first: Side, looks: list[tuple[float, float, float]]
) -> None:
    other = Side.RIGHT if first is Side.LEFT else Side.LEFT
    mirrored = [(-offset, later, score) for offset, later, score in looks]
    assert played(first, looks)[0].evidence() == played(other, mirrored)[0].evidence()


@given(first=st.sampled_from(Side), between=st.lists(st.floats(-0.34, 0.34), max_size=8), pause=st.floats(0, 0.3))
def test_a_head_that_turns_as_asked_passes_whatever_lies_between(
    first: Side, between: list[float], pause: float
) -> None:
    sign = 1 if first is Side.LEFT else -1
    looks = [(0.0, pause, 0.9)]
    for wanted in (sign * 0.5, 0.0, -sign * 0.5, 0.0):
        looks += [(offset, pause, 0.9) for offset in between]
        looks.append((wanted, pause, 0.9))
    assert played(first, looks)[0].evidence().passed


@given(looks=st.lists(st.tuples(st.floats(-1, 0.35), st.floats(0, 3), st.just(1.0)), max_size=60))
def test_who_never_turns_to_the_left_never_passes(looks: list[tuple[float, float, float]]) -> None:
    for first in Side:
        assert not played(first, looks)[0].evidence().passed
