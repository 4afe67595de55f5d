"""Of the frames of a stream, which are news."""

import pytest

from volens.consent import DataSubjectId, ModelId, Purpose, ReceiptId, ReferenceId
from volens.identify import FaceDecision, Identification
from volens.index import Decision, Match
from volens.service.door_passages import Passages

ADA, BOB = "a" * 32, "b" * 32
NOBODY = None
ASKED = "a known face, asked for a second factor"


def frame(*faces: str | None) -> Identification:
    asked = Decision(None, 0.5, 0, factor_required=True, withheld=ReferenceId(1))
    decided = tuple(
        FaceDecision((0.0, 0.0, 9.0, 9.0), asked if one == ASKED else Decision(_match(one), 0.5, 0)) for one in faces
    )
    return Identification(Purpose("lobby"), ModelId("made-up@00000000"), 0.5, decided)


def _match(receipt_id: str | None) -> Match | None:
    return None if receipt_id is None else Match(ReferenceId(1), ReceiptId(receipt_id), DataSubjectId("s" * 43), 0.9)


def begun(passages: Passages, at_s: float, *faces: str | None) -> list[str]:
    return [face.match.receipt_id for face in passages.begun(frame(*faces), at_s) if face.match]


def test_who_stays_in_front_of_a_door_for_a_minute_has_one_passage() -> None:
    passages = Passages()
    assert begun(passages, 0, ADA) == [ADA]
    assert [one for at_s in range(1, 60) for one in begun(passages, at_s, ADA)] == []


def test_who_comes_back_after_a_while_has_another_and_who_comes_in_between_has_their_own() -> None:
    passages = Passages()
    assert begun(passages, 0, ADA) == [ADA]
    assert begun(passages, 3, ADA, BOB) == [BOB]
    assert begun(passages, 9, BOB) == []
    assert begun(passages, 12, ADA) == []
    assert begun(passages, 22, ADA) == [ADA]


def test_who_is_asked_for_a_second_factor_again_and_shows_it_passes_again() -> None:
    passages = Passages()
    assert begun(passages, 0, ADA) == [ADA]
    assert begun(passages, 9.9, ADA) == []
    assert begun(passages, 10, ASKED) == []
    assert begun(passages, 11, ADA) == [ADA]
    assert begun(passages, 11.1, ADA) == []


def test_a_known_face_without_its_factor_is_news_when_it_is_asked_and_when_it_is_refused() -> None:
    passages, wrong = Passages(), Decision(None, 0.5, 0, factor_refused=True, withheld=ReferenceId(1))
    refused = Identification(
        Purpose("lobby"), ModelId("made-up@00000000"), 0.5, (FaceDecision((0.0, 0.0, 9.0, 9.0), wrong),)
    )

    assert [len(passages.asked(frame(ASKED), at_s)) for at_s in (0, 0.5, 1.0, 2.9)] == [1, 0, 0, 0]
    passages.shown()
    assert [len(passages.asked(refused, at_s)) for at_s in (3.0, 3.5)] == [1, 0]
    assert [len(passages.asked(frame(ASKED), at_s)) for at_s in (4.0, 4.5)] == [1, 0]
    assert passages.asked(frame(NOBODY, ADA), 5.0) == []
    assert [len(passages.asked(frame(ASKED), at_s)) for at_s in (6.5, 7.0)] == [1, 0]
    assert passages.stranger(refused, 9.0) is None
    assert passages.stranger(refused, 10.5) is None


def test_one_face_that_is_found_twice_in_a_frame_passes_once() -> None:
    assert begun(Passages(), 0, ADA, ADA) == [ADA]


@pytest.mark.parametrize(
    ("seen", "told_at"),
    [
        ([(0, [NOBODY]), (0.5, [NOBODY]), (1.0, [NOBODY]), (1.5, [NOBODY]), (9, [NOBODY])], [1.0]),
        ([(0, [NOBODY]), (0.5, []), (1.0, [NOBODY])], [1.0]),  # turned away for a moment
        ([(0, [NOBODY]), (0.5, [NOBODY]), (1.0, [ADA])], []),  # the next frame was a better one
        ([(0, [NOBODY]), (0.5, [ADA, NOBODY]), (1.0, [NOBODY]), (2.0, [NOBODY])], [2.0]),
        ([(0, [NOBODY]), (1.0, [NOBODY]), (3.0, [NOBODY]), (4.0, [NOBODY])], [1.0, 4.0]),  # somebody else
        ([(0, [ASKED]), (0.5, [ASKED]), (1.0, [ASKED, NOBODY]), (1.5, [ASKED])], []),  # is about to show something
        ([(0, [NOBODY]), (2.0, [NOBODY])], []),
        ([(0, []), (5, [])], []),
    ],
)
def test_strangers_are_told_of_once_and_only_when_nobody_knew_them_for_a_while(
    seen: list[tuple[float, list[str | None]]], told_at: list[float]
) -> None:
    passages = Passages()
    assert [at_s for at_s, faces in seen if passages.stranger(frame(*faces), at_s) is not None] == told_at
