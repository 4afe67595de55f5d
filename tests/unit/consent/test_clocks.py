"""The clocks of a consent: each ends when it should, the earliest one ends the consent, and ties have one answer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volens.consent import EndReason
from volens.consent.clocks import LEGAL_SOURCES, ClockFacts, Superseding, deadlines, first_deadline, fixed_deadline

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FACTS = ClockFacts(START, START + 900 * DAY, 1000, START)

CASES = {
    "the term that was signed": (FACTS, EndReason.EXPIRED, 900),
    "a retention that was shortened since": (replace(FACTS, retention_days=30), EndReason.RETENTION, 30),
    "three years away": (
        replace(FACTS, expires_at=START + 1098 * DAY, retention_days=1098),
        EndReason.INACTIVE,
        1095,
    ),
    "a visit a day after signing": (
        replace(FACTS, expires_at=START + 1096 * DAY, retention_days=1098, last_interaction=START + DAY),
        EndReason.EXPIRED,
        1096,
    ),
    "a contract that ends": (replace(FACTS, leaves_at=START + 7 * DAY), EndReason.LEFT, 7),
    "a notice that asks again": (
        replace(FACTS, superseding=[Superseding(START + 10 * DAY, 14)]),
        EndReason.SUPERSEDED,
        24,
    ),
    "two notices that ask again, the later one sooner": (
        replace(FACTS, superseding=[Superseding(START + 10 * DAY, 14), Superseding(START + 11 * DAY, 2)]),
        EndReason.SUPERSEDED,
        13,
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_the_clock_that_ends_first_ends_the_consent(what: str) -> None:
    facts, reason, days = CASES[what]
    first = first_deadline(facts)
    assert (first.reason, first.at) == (reason, START + days * DAY)


def test_of_clocks_that_end_together_the_order_of_the_list_decides() -> None:
    end = START + 1095 * DAY
    facts = ClockFacts(START, end, 1095, START, end, [Superseding(end - DAY, 1)])
    assert [one.reason for one in deadlines(facts)] == list(LEGAL_SOURCES)
    assert {one.at for one in deadlines(facts)} == {end}


def test_every_reason_that_is_a_clock_has_a_legal_source_and_the_acts_of_people_have_none() -> None:
    assert set(EndReason) - set(LEGAL_SOURCES) == {EndReason.WITHDRAWN, EndReason.ORDERED, EndReason.LOST}
    assert all(source.startswith("GDPR") for source in LEGAL_SOURCES.values())


def test_the_clock_that_a_visit_moves_is_not_a_fixed_one() -> None:
    facts = replace(FACTS, expires_at=START + 1098 * DAY, retention_days=1098)
    assert first_deadline(facts).reason is EndReason.INACTIVE
    assert fixed_deadline(facts).reason is EndReason.EXPIRED


_moments = st.integers(0, 1200).map(lambda days: START + days * DAY)
_asking = st.lists(st.builds(Superseding, _moments, st.integers(0, 366)), max_size=3)
_facts = st.builds(ClockFacts, st.just(START), _moments, st.integers(1, 1098), _moments, st.none() | _moments, _asking)


@settings(derandomize=True, deadline=None)
@given(_facts, _moments)
def test_the_earliest_wins_and_at_every_moment_someone_is_due_exactly_if_a_clock_has_run_out(
    facts: ClockFacts, now: datetime
) -> None:
    ends = [
        facts.expires_at,
        facts.issued_at + facts.retention_days * DAY,
        facts.last_interaction + 1095 * DAY,
        *([facts.leaves_at] if facts.leaves_at else []),
        *(one.published_at + one.within_days * DAY for one in facts.superseding),
    ]
    first = first_deadline(facts)
    assert first.at == min(ends)
    assert sorted(one.at for one in deadlines(facts)) == sorted(ends)
    assert (first.at <= now) is any(end <= now for end in ends)


@settings(derandomize=True, deadline=None)
@given(_facts, _moments, st.builds(Superseding, _moments, st.integers(0, 366)), st.integers(1, 1098))
def test_adding_a_clock_never_postpones(facts: ClockFacts, leaves_at: datetime, asking: Superseding, days: int) -> None:
    before = first_deadline(facts).at
    earlier = leaves_at if facts.leaves_at is None else min(leaves_at, facts.leaves_at)
    assert first_deadline(replace(facts, leaves_at=earlier)).at <= before
    assert first_deadline(replace(facts, superseding=[*facts.superseding, asking])).at <= before
    assert first_deadline(replace(facts, retention_days=min(days, facts.retention_days))).at <= before
    assert fixed_deadline(facts).at >= before
