"""When a webhook is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.webhooks.schedule import (
    FIRST_DELAY,
    GIVE_UP_AFTER,
    LONGEST_DELAY,
    LONGEST_WISH,
    Verdict,
    next_attempt,
    verdict,
    wish_of,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WISHES = st.none() | st.timedeltas(timedelta(0), timedelta(days=30))


@given(jitters=st.lists(st.floats(0, 1), min_size=1), wish=WISHES)
def test_a_message_that_always_fails_is_tried_to_the_end_of_three_days_and_then_given_up(
    jitters: list[float], wish: timedelta | None
) -> None:
    now, attempts = NOW, 1
    while (then := next_attempt(NOW, attempts, now, jitters[attempts % len(jitters)], wish)) is not None:
        assert now < then <= NOW + GIVE_UP_AFTER
        assert then - now <= max(LONGEST_DELAY, LONGEST_WISH)
        now, attempts = then, attempts + 1
        assert attempts < 60
    assert now == NOW + GIVE_UP_AFTER


@given(attempts=st.integers(1, 10**6), jitter=st.floats(0, 1), wish=WISHES)
def test_a_delay_lies_between_half_and_all_of_its_step_and_a_wish_only_lengthens_it(
    attempts: int, jitter: float, wish: timedelta | None
) -> None:
    plain = next_attempt(NOW, attempts, NOW, jitter)
    asked = next_attempt(NOW, attempts, NOW, jitter, wish)
    assert plain is not None
    assert asked is not None
    assert FIRST_DELAY / 2 <= plain - NOW <= LONGEST_DELAY
    assert asked >= plain
    assert asked >= NOW + min(wish or timedelta(0), LONGEST_WISH)


def test_the_first_delays_grow_by_four() -> None:
    delays = [next_attempt(NOW, attempts, NOW, 1) for attempts in (1, 2, 3, 20)]
    assert delays == [NOW + timedelta(seconds=s) for s in (5, 20, 80, 6 * 3600)]


@pytest.mark.parametrize(("attempts", "jitter"), [(0, 0.5), (1, -0.1), (1, 1.1)])
def test_numbers_out_of_range_are_a_bug(attempts: int, jitter: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        next_attempt(NOW, attempts, NOW, jitter)


def test_what_an_answer_means() -> None:
    assert {verdict(one) for one in (200, 202, 204, 299)} == {Verdict.ACKNOWLEDGED}
    assert verdict(410) is Verdict.GONE
    assert {verdict(one) for one in (100, 301, 307, 400, 404, 429, 500, 503)} == {Verdict.AGAIN}


@pytest.mark.parametrize(
    ("header", "wish"),
    [
        ("120", timedelta(minutes=2)),
        (" 0 ", timedelta(0)),
        ("9" * 5000, LONGEST_WISH),
        ("Tue, 24 Nov 2026 12:01:00 GMT", timedelta(minutes=1)),
        ("Tue, 24 Nov 2026 11:59:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("\u0665", None),
        (None, None),
    ],
)
def test_what_a_receiver_may_wish(header: str | None, wish: timedelta | None) -> None:
    assert wish_of(header, NOW) == wish
