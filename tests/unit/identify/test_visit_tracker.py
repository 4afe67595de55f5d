"""The decisions of a stream that are reported: one for each visit."""

from volens.consent import DataSubjectId, ModelId, Purpose, ReceiptId, ReferenceId
from volens.identify import FaceDecision, Identification, VisitTracker
from volens.index import Decision, Match

ADA, BOB = "a" * 32, "b" * 32
STRANGER = None
FACTOR_REQUIRED = "a known face without its second factor"


def frame(*faces: str | None) -> Identification:
    required = Decision(None, 0.5, 0, factor_required=True, undisclosed_reference_id=ReferenceId(1))
    decided = tuple(
        FaceDecision((0.0, 0.0, 9.0, 9.0), required if one == FACTOR_REQUIRED else Decision(_match(one), 0.5, 0))
        for one in faces
    )
    return Identification(Purpose("lobby"), ModelId("made-up@00000000"), 0.5, decided)


def _match(receipt_id: str | None) -> Match | None:
    return None if receipt_id is None else Match(ReferenceId(1), ReceiptId(receipt_id), DataSubjectId("s" * 43), 0.9)


def begun(tracker: VisitTracker, at_s: float, *faces: str | None) -> list[str]:
    return [face.match.receipt_id for face in tracker.new_visits(frame(*faces), at_s) if face.match]


def test_a_person_who_stays_in_front_of_a_door_for_a_minute_makes_one_visit() -> None:
    tracker = VisitTracker()
    assert begun(tracker, 0, ADA) == [ADA]
    assert [one for at_s in range(1, 60) for one in begun(tracker, at_s, ADA)] == []


def test_a_person_who_returns_after_ten_seconds_makes_another_visit() -> None:
    tracker = VisitTracker()
    assert begun(tracker, 0, ADA) == [ADA]
    assert begun(tracker, 3, ADA, BOB) == [BOB]
    assert begun(tracker, 9, BOB) == []
    assert begun(tracker, 12, ADA) == []
    assert begun(tracker, 22, ADA) == [ADA]


def test_the_next_second_factor_begins_another_visit() -> None:
    tracker = VisitTracker()
    assert begun(tracker, 0, ADA) == [ADA]
    assert begun(tracker, 9.9, ADA) == []
    assert begun(tracker, 10, FACTOR_REQUIRED) == []
    assert begun(tracker, 11, ADA) == [ADA]
    assert begun(tracker, 11.1, ADA) == []


def test_a_required_or_refused_factor_is_reported_once() -> None:
    tracker = VisitTracker()
    wrong = Decision(None, 0.5, 0, factor_refused=True, undisclosed_reference_id=ReferenceId(1))
    refused = Identification(
        Purpose("lobby"), ModelId("made-up@00000000"), 0.5, (FaceDecision((0.0, 0.0, 9.0, 9.0), wrong),)
    )

    assert [len(tracker.new_factor_requests(frame(FACTOR_REQUIRED), at_s)) for at_s in (0, 0.5, 1.0, 2.9)] == [
        1,
        0,
        0,
        0,
    ]
    tracker.factor_presented()
    assert [len(tracker.new_factor_requests(refused, at_s)) for at_s in (3.0, 3.5)] == [1, 0]
    assert [len(tracker.new_factor_requests(frame(FACTOR_REQUIRED), at_s)) for at_s in (4.0, 4.5)] == [1, 0]
    assert tracker.new_factor_requests(frame(STRANGER, ADA), 5.0) == []
    assert [len(tracker.new_factor_requests(frame(FACTOR_REQUIRED), at_s)) for at_s in (6.5, 7.0)] == [1, 0]
    assert tracker.new_refusals(refused) == []


def test_a_face_detected_twice_in_one_frame_makes_one_visit() -> None:
    assert begun(VisitTracker(), 0, ADA, ADA) == [ADA]


def test_a_face_that_was_not_recognised_is_reported_with_the_frame_that_decides_it() -> None:
    tracker = VisitTracker()
    unknown, known = Decision(None, 0.5, 0), Decision(_match(ADA), 0.5, 0)
    faces = (
        FaceDecision((0.0, 0.0, 9.0, 9.0), unknown, looks=3, is_decided=False, is_new=False),
        FaceDecision((20.0, 0.0, 9.0, 9.0), unknown, looks=8, is_decided=True, is_new=True),
        FaceDecision((40.0, 0.0, 9.0, 9.0), unknown, looks=8, is_decided=True, is_new=False),
        FaceDecision((60.0, 0.0, 9.0, 9.0), known, looks=2, is_decided=True, is_new=True),
    )
    found = Identification(Purpose("lobby"), ModelId("made-up@00000000"), 0.5, faces)
    assert tracker.new_refusals(found) == [faces[1]]
    assert [face.outcome for face in faces] == ["looking", "no_match", "no_match", "match"]
