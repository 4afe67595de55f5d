"""The clocks of a consent: five ways in which time ends it. Whichever ends first, ends it.

1. expired: the term that the person signed is over (GDPR 7 and 5(1)(e); ISO/IEC TS 27560 `validity_duration`).
2. retention: the zone's retention, counted from the signature, is over (GDPR 5(1)(e), storage limitation).
3. inactive: three years have passed since the last interaction (CNIL's practice for data of people who stay away).
4. left: the reason for which the person came is over; the end of a contract, told by the employer (GDPR 17(1)(a)).
5. superseded: a new notice asks again, and the days for agreeing to it are over (GDPR 7(1) and 13(3):
   who was not told of the new text has not agreed to it).

Of two clocks that end in the same second the one higher in this list is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from volens.consent.withdrawal import EndReason

INACTIVE_AFTER_DAYS: Final = 1095
"""Three years without a leap day, so that it is never more than three years."""

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
    """A clock and the moment from which on it has run out: aware UTC."""

    reason: EndReason
    at: datetime


@final
@dataclass(frozen=True, slots=True)
class Superseding:
    """A newer notice than the one agreed to, and how many days people have to agree to it."""

    published_at: datetime
    within_days: int


@final
@dataclass(frozen=True, slots=True)
class ClockFacts:
    """All that the clocks of one consent are read from; times are aware UTC.

    Attributes:
        issued_at: when the person signed.
        expires_at: the end that they signed.
        retention_days: of the zone, as it is now.
        last_interaction: when the person last said yes, enrolled or came in.
        leaves_at: when they leave; None if nobody said so.
        superseding: notices since the one agreed to that ask again.
    """

    issued_at: datetime
    expires_at: datetime
    retention_days: int
    last_interaction: datetime
    leaves_at: datetime | None = None
    superseding: Sequence[Superseding] = ()


def deadlines(facts: ClockFacts) -> tuple[Deadline, ...]:
    """Return every clock that is running, the one that ends first in front."""
    found = [
        # 1. to 3.
        Deadline(EndReason.EXPIRED, facts.expires_at),
        Deadline(EndReason.RETENTION, facts.issued_at + timedelta(days=facts.retention_days)),
        Deadline(EndReason.INACTIVE, inactive_at(facts.last_interaction)),
    ]
    # 4.
    if facts.leaves_at is not None:
        found.append(Deadline(EndReason.LEFT, facts.leaves_at))
    # 5.
    found += [
        Deadline(EndReason.SUPERSEDED, superseded_at(notice.published_at, notice.within_days))
        for notice in facts.superseding
    ]
    return tuple(sorted(found, key=lambda one: (one.at, _ORDER.index(one.reason))))


def first_deadline(facts: ClockFacts) -> Deadline:
    """Return the clock that ends first."""
    return deadlines(facts)[0]


def fixed_deadline(facts: ClockFacts) -> Deadline:
    """Return the clock that ends first, of those that are never postponed: all but inactivity, which a visit moves."""
    return next(one for one in deadlines(facts) if one.reason is not EndReason.INACTIVE)


def inactive_at(last_interaction: datetime) -> datetime:
    """Return when somebody who does not come any more has been away for three years."""
    return last_interaction + timedelta(days=INACTIVE_AFTER_DAYS)


def superseded_at(published_at: datetime, within_days: int) -> datetime:
    """Return until when people may agree to a notice that asks again."""
    return published_at + timedelta(days=within_days)
