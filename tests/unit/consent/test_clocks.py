"""The clocks of a consent: each ends when it should, the earliest one ends the consent, and ties have one answer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volens.consent import EndReason
from volens.consent.clocks import (
    LEGAL_SOURCES,
    ClockFacts,
    Deadline,
    deadlines,
    fixed_deadline,
    inactive_at,
)
from volens.consent.law import shipped_profiles

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
        replace(FACTS, superseded_at=[START + 24 * DAY]),
        EndReason.SUPERSEDED,
        24,
    ),
    "two notices that ask again, the later one sooner": (
        replace(FACTS, superseded_at=[START + 24 * DAY, START + 13 * DAY]),
        EndReason.SUPERSEDED,
        13,
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_the_clock_that_ends_first_ends_the_consent(what: str) -> None:
    facts, reason, days = CASES[what]
    first = deadlines(facts)[0]
    assert (first.reason, first.at) == (reason, START + days * DAY)


def test_the_list_order_decides_between_clocks_that_end_together() -> None:
    end = START + 1095 * DAY
    facts = ClockFacts(START, end, 1095, START, end, [end])
    assert [one.reason for one in deadlines(facts)] == list(LEGAL_SOURCES)
    assert {one.at for one in deadlines(facts)} == {end}


def test_exactly_the_clocks_have_a_legal_source() -> None:
    assert set(EndReason) - set(LEGAL_SOURCES) == {
        EndReason.WITHDRAWN,
        EndReason.REQUESTED,
        EndReason.ORDERED,
        EndReason.LOST,
        EndReason.RENEWED,
        EndReason.ZONE_REMOVED,
    }
    assert all(source.startswith("GDPR") for source in LEGAL_SOURCES.values())


def test_the_clock_that_a_visit_moves_is_not_a_fixed_one() -> None:
    facts = replace(FACTS, expires_at=START + 1098 * DAY, retention_days=1098)
    assert deadlines(facts)[0].reason is EndReason.INACTIVE
    assert fixed_deadline(facts).reason is EndReason.EXPIRED


@pytest.mark.parametrize(
    ("jurisdiction", "reason", "days"),
    [("US-CO", EndReason.RETENTION, 730), ("US-TX", EndReason.INACTIVE, 1095), ("FR", EndReason.INACTIVE, 1095)],
)
def test_the_clocks_of_the_persons_jurisdiction_count(jurisdiction: str, reason: EndReason, days: int) -> None:
    clocks = shipped_profiles()[jurisdiction].clocks
    facts = replace(
        FACTS,
        expires_at=START + 1098 * DAY,
        retention_days=1098,
        max_term_days=clocks.max_term_days,
        inactive_after_days=clocks.inactive_after_days,
    )
    assert deadlines(facts)[0] == Deadline(reason, START + days * DAY)


def test_no_jurisdiction_makes_the_clock_of_inactivity_longer() -> None:
    assert inactive_at(START, 5000) == inactive_at(START, 1095) == START + 1095 * DAY
    assert inactive_at(START, 10) == START + 10 * DAY


def test_a_law_that_gives_longer_after_the_purpose_is_not_waited_for() -> None:
    assert shipped_profiles()["US-TX"].clocks.after_purpose_days == 365
    assert deadlines(replace(FACTS, leaves_at=START + DAY))[0] == Deadline(EndReason.LEFT, START + DAY)


_moments = st.integers(0, 1200).map(lambda days: START + days * DAY)
_asking = st.lists(_moments, max_size=3)
_facts = st.builds(ClockFacts, st.just(START), _moments, st.integers(1, 1098), _moments, st.none() | _moments, _asking)


@settings(derandomize=True, deadline=None)
@given(_facts, _moments)
def test_a_consent_is_due_exactly_from_its_earliest_deadline_on(facts: ClockFacts, now: datetime) -> None:
    ends = [
        facts.expires_at,
        facts.issued_at + facts.retention_days * DAY,
        facts.last_interaction + 1095 * DAY,
        *([facts.leaves_at] if facts.leaves_at else []),
        *facts.superseded_at,
    ]
    first = deadlines(facts)[0]
    assert first.at == min(ends)
    assert sorted(one.at for one in deadlines(facts)) == sorted(ends)
    assert (first.at <= now) is any(end <= now for end in ends)


@settings(derandomize=True, deadline=None)
@given(_facts, _moments, _moments, st.integers(1, 1098))
def test_adding_a_clock_never_postpones(facts: ClockFacts, leaves_at: datetime, asking: datetime, days: int) -> None:
    before = deadlines(facts)[0].at
    earlier = leaves_at if facts.leaves_at is None else min(leaves_at, facts.leaves_at)
    assert deadlines(replace(facts, leaves_at=earlier))[0].at <= before
    assert deadlines(replace(facts, superseded_at=[*facts.superseded_at, asking]))[0].at <= before
    assert deadlines(replace(facts, retention_days=min(days, facts.retention_days)))[0].at <= before
    assert fixed_deadline(facts).at >= before
