"""Expiry clocks: the five rules by which time ends a consent. The clock that runs out first ends it.

1. expired: the term that the person signed is over (GDPR 7 and 5(1)(e); ISO/IEC TS 27560 `validity_duration`).
2. retention: the zone's retention, or the longest term of the person's jurisdiction if that is shorter, is over,
   counted from the signature (GDPR 5(1)(e), storage limitation).
3. inactive: the days of the person's jurisdiction have passed since the last interaction, three years at most (CNIL's
   practice for data of people who stay away).
4. left: the purpose is over because the contract ended; the employer reports the date (GDPR 17(1)(a)). A jurisdiction
   that gives longer (`after_purpose_days`) is not waited for: the shortest clock wins.
5. superseded: a new notice requests consent again, and the days for agreeing to it are over (GDPR 7(1) and 13(3):
   a person who was not informed of the new text has not agreed to it).

The clocks of the jurisdiction are arguments (`volens.consent.law`). If two clocks run out in the same second, the one
higher in this list is the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from volens.consent.withdrawal import EndReason
from volens.consent.zone import MAX_RETENTION_DAYS

INACTIVE_AFTER_DAYS: Final = 1095
"""Three years without a leap day, so that it is never more than three years; no jurisdiction makes it longer."""

MAX_SUPERSEDING_DAYS: Final = 366

LEGAL_SOURCES: Final[dict[EndReason, str]] = {
    EndReason.EXPIRED: "GDPR 7 and 5(1)(e): the term that the data subject signed",
    EndReason.RETENTION: "GDPR 5(1)(e): storage limitation, the retention of the zone",
    EndReason.INACTIVE: "GDPR 5(1)(e): three years since the last interaction, after the practice of the CNIL",
    EndReason.LEFT: "GDPR 17(1)(a): the purpose ends with the contract",
    EndReason.SUPERSEDED: "GDPR 7(1) and 13(3): a new notice asks for consent again",
}
"""Each clock with its source, in the order of the list above."""

_ORDER: Final = tuple(LEGAL_SOURCES)


@final
@dataclass(frozen=True, slots=True)
class Deadline:
    """A clock and the moment at which it runs out (aware UTC)."""

    reason: EndReason
    at: datetime


@final
@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The facts from which the clocks of one consent are computed; times are aware UTC.

    Attributes:
        retention_days: of the zone, as it is now.
        last_interaction: when the person last gave consent, enrolled or came in.
        leaves_at: when the person leaves; None if no date was reported.
        superseded_at: of each newer notice that requests consent again: until when people may agree to it.
        max_term_days, inactive_after_days: of the person's jurisdiction, as its profile is now.
    """

    issued_at: datetime
    expires_at: datetime
    retention_days: int
    last_interaction: datetime
    leaves_at: datetime | None = None
    superseded_at: Sequence[datetime] = ()
    max_term_days: int = MAX_RETENTION_DAYS
    inactive_after_days: int = INACTIVE_AFTER_DAYS


def deadlines(facts: ClockFacts) -> tuple[Deadline, ...]:
    """Return every running clock, the earliest deadline first."""
    longest = timedelta(days=min(facts.retention_days, facts.max_term_days))
    found = [
        # 1. to 3.
        Deadline(EndReason.EXPIRED, facts.expires_at),
        Deadline(EndReason.RETENTION, facts.issued_at + longest),
        Deadline(EndReason.INACTIVE, inactive_at(facts.last_interaction, facts.inactive_after_days)),
    ]
    # 4.
    if facts.leaves_at is not None:
        found.append(Deadline(EndReason.LEFT, facts.leaves_at))
    # 5.
    found += [Deadline(EndReason.SUPERSEDED, at) for at in facts.superseded_at]
    return tuple(sorted(found, key=lambda one: (one.at, _ORDER.index(one.reason))))


def fixed_deadline(facts: ClockFacts) -> Deadline:
    """Return the earliest of the clocks that a visit does not postpone: all but inactivity."""
    return next(one for one in deadlines(facts) if one.reason is not EndReason.INACTIVE)


def inactive_at(last_interaction: datetime, after_days: int) -> datetime:
    """Return when the inactivity clock runs out, by the days of the person's jurisdiction; the shorter one wins."""
    return last_interaction + timedelta(days=min(after_days, INACTIVE_AFTER_DAYS))


def superseded_at(published_at: datetime, within_days: int) -> datetime:
    """Return until when people may agree to a notice that requests consent again."""
    return published_at + timedelta(days=within_days)
