"""The history checker finds exactly the violations."""

import pytest

from benchmarks.load.checker import Decision, Span, Stay, check

ADA = Stay("ada", 0, Span(10, 20), Span(100, 110), [130])


def seen(began: int, ended: int | None, *matched: str, shown: int = 0) -> Decision:
    return Decision(Span(began, ended), shown, frozenset(matched))


@pytest.mark.parametrize(
    "decision",
    [
        seen(30, 40, "ada"),
        seen(5, 15, "ada"),  # during the enrollment
        seen(105, 200, "ada"),  # during the withdrawal; the decision may be older
        seen(110, 120, "ada"),  # it began when the response came
        seen(0, 5),
        seen(111, 120),
        seen(15, 30),  # during the enrollment
        seen(50, 105),  # during the withdrawal
        seen(120, None, "ada"),  # the response was lost
        seen(30, 40, shown=1),
    ],
)
def test_a_history_without_violations_holds(decision: Decision) -> None:
    verdict = check([decision], [ADA])
    assert verdict.holds
    assert not verdict.missed


def test_a_match_after_the_response_to_a_withdrawal_is_found() -> None:
    late = seen(111, 120, "ada")
    verdict = check([seen(30, 40, "ada"), late], [ADA])
    assert verdict.after_withdrawal == (late,)
    assert not verdict.holds


def test_a_withdrawal_without_a_response_promises_nothing() -> None:
    assert check([seen(500, 510, "bob")], [Stay("bob", 1, Span(0, 1), Span(100, None))]).holds


def test_a_match_before_the_enrollment_is_found() -> None:
    early = seen(1, 9, "ada")
    assert check([early], [ADA]).before_enrollment == (early,)
    assert check([early], [Stay("ada", 0)]).before_enrollment == (early,)


def test_a_match_with_an_unknown_subject_id_is_found() -> None:
    odd = seen(30, 40, "eve")
    assert check([odd], [ADA]).strangers == (odd,)


def test_a_face_that_was_not_recognised_is_counted_but_breaks_no_promise() -> None:
    missed = seen(30, 40)
    verdict = check([missed, seen(30, 40, "ada")], [ADA])
    assert verdict.missed == (missed,)
    assert verdict.recognised == 1
    assert verdict.holds


def test_an_erasure_without_a_notification_is_found() -> None:
    forgotten = Stay("bob", 1, Span(0, 1), Span(2, 3))
    assert check([], [ADA, forgotten]).not_notified == (forgotten,)
