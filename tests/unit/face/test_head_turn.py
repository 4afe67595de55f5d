"""The head-turn challenge: its state machine, a head that turns, and photos that are turned, bent and shown on screens.

What is turned and bent is painted (tests/support/presentations.py), from two portraits in the public domain.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from presentations import ATTACKS, Attack, face_photo, frames_of, turning_head

from volens.consent import UnitVector
from volens.consent.zone import LivenessLevel
from volens.face import Extractor, RgbImage
from volens.face.alignment import nose_offset
from volens.face.head_turn import LOOKS, RULE, HeadTurn, HeadTurnLiveness, Side, Step, random_side
from volens.face.liveness import SENTENCES, Look, NotLive
from volens.service import samples

LIMIT = 0.45
AHEAD, LEFT, RIGHT = 0.02, 0.5, -0.5
IN_ORDER = {Side.LEFT: (AHEAD, LEFT, AHEAD, RIGHT, AHEAD), Side.RIGHT: (AHEAD, RIGHT, AHEAD, LEFT, AHEAD)}


def turned(first: Side, offsets: Sequence[float], *, every_s: float = 0.5, scores: Sequence[float] = ()) -> HeadTurn:
    turn = HeadTurn(first, 100.0, LIMIT)
    rest = iter(scores)
    for number, offset in enumerate(offsets):
        if turn.see(offset, 100.0 + every_s * number) and turn.taken > 1:
            turn.compare(next(rest, 0.7))
    return turn


@pytest.mark.parametrize("first", Side)
def test_a_head_that_turns_as_asked_passes_and_in_the_other_order_not(first: Side) -> None:
    assert turned(first, IN_ORDER[first]).evidence().passed
    other = Side.RIGHT if first is Side.LEFT else Side.LEFT
    assert turned(first, IN_ORDER[other]).evidence().reason is NotLive.UNFINISHED


def test_the_person_is_asked_for_one_step_after_the_other() -> None:
    turn = HeadTurn(Side.RIGHT, 0.0, LIMIT)
    asked = [turn.wanted]
    for offset in (AHEAD, LEFT, RIGHT, RIGHT, AHEAD, LEFT, AHEAD):
        turn.see(offset, 1.0)
        asked.append(turn.wanted)
    steps = [Step.AHEAD, Step.RIGHT, Step.RIGHT, Step.AHEAD, Step.AHEAD, Step.LEFT, Step.AHEAD, Step.DONE]
    assert asked == steps
    assert not turn.see(AHEAD, 1.0)


@pytest.mark.parametrize("offset", [0.35, 0.349, -0.35, 0.16, float("nan")])
def test_a_head_that_turns_too_little_is_asked_on(offset: float) -> None:
    assert turned(Side.LEFT, (AHEAD, offset)).wanted is Step.LEFT


def test_both_sides_without_a_look_ahead_between_them_are_not_enough() -> None:
    assert turned(Side.LEFT, (AHEAD, LEFT, RIGHT, AHEAD)).evidence().reason is NotLive.UNFINISHED


def test_a_challenge_ends_with_its_time_and_does_not_begin_again() -> None:
    turn = turned(Side.LEFT, IN_ORDER[Side.LEFT], every_s=RULE.limit_s / 4)
    assert turn.evidence().passed
    late = turned(Side.LEFT, (*IN_ORDER[Side.LEFT][:4], 0.3, AHEAD), every_s=RULE.limit_s / 4)
    assert late.evidence().reason is NotLive.TIME_OVER
    assert not late.see(AHEAD, 101.0)
    assert not HeadTurn(Side.LEFT, 100.0, LIMIT).see(AHEAD, 99.0)


@pytest.mark.parametrize("at", range(LOOKS - 1))
@pytest.mark.parametrize("score", [LIMIT - 0.01, float("nan")])
def test_one_look_of_another_person_fails_the_challenge(at: int, score: float) -> None:
    scores = [0.7] * at + [score] + [0.7] * 4
    assert turned(Side.LEFT, IN_ORDER[Side.LEFT], scores=scores).evidence().reason is NotLive.OTHER_PERSON


def test_looks_that_were_not_compared_do_not_pass() -> None:
    turn = HeadTurn(Side.LEFT, 0.0, LIMIT, taken=LOOKS)
    assert turn.wanted is Step.DONE
    assert turn.evidence().reason is NotLive.NOT_COMPARED
    with pytest.raises(ValueError, match="got 6 looks taken; expected 0 to 5"):
        HeadTurn(Side.LEFT, 0.0, LIMIT, taken=6)


def test_the_first_side_comes_from_the_random_bytes_it_is_given() -> None:
    assert [random_side(lambda _count, byte=byte: bytes([byte])) for byte in (0, 1, 254, 255)] == [  # type: ignore[misc]
        Side.RIGHT,
        Side.LEFT,
        Side.RIGHT,
        Side.LEFT,
    ]


def test_each_reason_has_a_sentence_and_evidence_has_no_pixels() -> None:
    assert set(SENTENCES) == set(NotLive)
    evidence = turned(Side.LEFT, (AHEAD,)).evidence()
    assert evidence.sentence == SENTENCES[NotLive.UNFINISHED]
    assert evidence.level is LivenessLevel.CHALLENGE
    assert turned(Side.LEFT, IN_ORDER[Side.LEFT]).evidence().sentence == "passed"


class Examiner:
    """Examines frames with the models, and counts and keeps what was embedded."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.vectors: list[UnitVector] = []

    def embed(self, look: Look) -> UnitVector:
        self.vectors.append(self.extractor._embed_face(look.image, look.face))
        return self.vectors[-1]

    def looks(self, frames: Sequence[RgbImage]) -> list[Look]:
        found = [(number, image, self.extractor.detect(image)) for number, image in enumerate(frames)]
        return [Look(image, faces[0], number / 10) for number, image, faces in found if faces]

    def reason(self, frames: Sequence[RgbImage], first: Side) -> NotLive | None:
        return HeadTurnLiveness(first, 0.0, self.embed, LIMIT).examine(self.looks(frames)).reason


@pytest.fixture
def examiner(extractor: Extractor) -> Examiner:
    return Examiner(extractor)


@pytest.fixture(scope="module")
def admiral() -> RgbImage:
    return samples.admiral()


@pytest.fixture(scope="module")
def heads(loaded: Extractor, admiral: RgbImage) -> dict[str, RgbImage]:
    return turning_head(loaded, admiral)


def test_a_head_with_depth_passes_and_its_vectors_are_wiped(examiner: Examiner, heads: dict[str, RgbImage]) -> None:
    ahead, left, right = heads["ahead"], heads["left"], heads["right"]
    assert examiner.reason([ahead, left, ahead, right, ahead], Side.LEFT) is None
    assert len(examiner.vectors) == LOOKS
    assert not any(vector.array.any() for vector in examiner.vectors)
    assert examiner.reason([ahead, left, ahead, right, ahead], Side.RIGHT) is NotLive.UNFINISHED


def test_a_person_who_turns_for_the_photo_of_another_is_noticed(
    examiner: Examiner, heads: dict[str, RgbImage], astronaut: RgbImage
) -> None:
    frames = [astronaut, heads["left"], astronaut, heads["right"], astronaut]
    assert examiner.reason(frames, Side.LEFT) is NotLive.OTHER_PERSON


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_no_photo_of_two_people_passes_however_it_is_turned(
    examiner: Examiner, astronaut: RgbImage, admiral: RgbImage, attack: Attack
) -> None:
    for image in (astronaut, admiral):
        frames = list(frames_of(attack, face_photo(image, examiner.extractor.detect(image)[0]), seed=1))
        looks = examiner.looks(frames)
        assert len(looks) > len(frames) / 2
        assert max(abs(nose_offset(look.face.landmarks)) for look in looks) < RULE.min_turn
        # The attacker goes on with the same turns until the time is over.
        again = [replace(look, at_s=look.at_s + len(frames) / 10) for look in looks]
        for first in Side:
            liveness = HeadTurnLiveness(first, 0.0, examiner.embed, LIMIT)
            assert liveness.examine(looks + again).reason is NotLive.UNFINISHED
    assert len(examiner.vectors) == 4
