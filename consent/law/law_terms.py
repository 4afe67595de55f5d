"""The parts of a jurisdiction profile: clocks, rights, gates, rules about minors, and what was checked on which day.

A profile is data, not legal advice. So each period and each rule says where it comes from, and a period that no law
names says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self, TypeAlias, final

LANGUAGES: Final = ("en", "fr", "de")
"""The languages of every text that people read in a profile."""

Texts: TypeAlias = Mapping[str, str]
"""One text in each of `LANGUAGES`."""

CLOCK_NAMES: Final = (
    *("max_term_days", "inactive_after_days", "after_purpose_days"),
    *("evidence_days", "log_openings_days", "requests_days"),
)


class Right(StrEnum):
    """A right of a person that Volens has a command for. A profile cannot promise another one."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION = "objection"
    WITHDRAWAL = "withdrawal"
    EXPLANATION = "explanation"
    COMPLAINT = "complaint"

    @property
    def command(self) -> str:
        """The command that carries it out; for a complaint, the one that shows the address of the authority."""
        return _COMMANDS[self]


_COMMANDS: Final[dict[Right, str]] = {
    Right.ACCESS: "volens request open --kind access",
    Right.RECTIFICATION: "volens consent correct",
    Right.ERASURE: "volens request open --kind erasure",
    Right.RESTRICTION: "volens consent restrict",
    Right.PORTABILITY: "volens request open --kind portability",
    Right.OBJECTION: "volens request open --kind objection",
    Right.WITHDRAWAL: "volens withdraw",
    Right.EXPLANATION: "volens decisions explain",
    Right.COMPLAINT: "volens jurisdictions show",
}


class GateKind(StrEnum):
    """What must be done before people of a jurisdiction are asked: by the employer, the controller, or both."""

    WORKS_AGREEMENT = "works_agreement"
    """The workers' representatives agreed, or were consulted."""
    DPIA = "dpia"
    """A data protection impact assessment."""
    DECLARATION = "declaration"
    """A declaration to the authority."""


class Guardian(StrEnum):
    """What happens below the age of consent: a guardian signs beside the person, or the consent is refused."""

    SIGNATURE = "signature"
    REFUSED = "refused"


@final
@dataclass(frozen=True, slots=True)
class Clocks:
    """The periods of a profile in days.

    Attributes:
        max_term_days: the longest term that a person can sign.
        inactive_after_days: after the last interaction the consent ends.
        after_purpose_days: after the end of the purpose, such as the end of a contract, the data must be erased; 0 is
            the same day.
        evidence_days: how long receipts and certificates are kept after the end of a consent.
        log_openings_days: how long the details of entries in the audit log are kept.
        requests_days: how long requests of people and their answers are kept.
        reasons: of each of the six, its article, or why it was chosen.
    """

    max_term_days: int
    inactive_after_days: int
    after_purpose_days: int
    evidence_days: int
    log_openings_days: int
    requests_days: int
    reasons: Mapping[str, str]

    @classmethod
    def of(cls, days: Mapping[str, int], reasons: Mapping[str, str]) -> Self:
        """Return the clocks from all six names of `CLOCK_NAMES`."""
        return cls(**{name: days[name] for name in CLOCK_NAMES}, reasons=MappingProxyType(dict(reasons)))

    def days(self, name: str) -> int:
        """Return the days of one clock by its name."""
        return int(getattr(self, name))


@final
@dataclass(frozen=True, slots=True)
class Gate:
    """A step that must be done before people of a jurisdiction are asked.

    Attributes:
        days_before: how many days must lie between the step and the first consent; 0 is the same day.
        question: to the operator, who answers it with a date.
    """

    kind: GateKind
    days_before: int
    article: str
    question: Texts


@final
@dataclass(frozen=True, slots=True)
class Authority:
    """The authority to which a person can complain."""

    name: Texts
    url: str


@final
@dataclass(frozen=True, slots=True)
class Minors:
    """From which age a person consents alone, and what happens below it."""

    consent_age: int
    guardian: Guardian
    source: str


@final
@dataclass(frozen=True, slots=True)
class PublicPolicy:
    """Whether the law wants the retention policy to be public, and which article says so, or that none does."""

    required: bool
    article: str


@final
@dataclass(frozen=True, slots=True)
class Source:
    """A source that was read: its address or citation, the day, and what was compared with it."""

    where: str
    checked_on: date
    what: str


def shortest(clocks: Iterable[tuple[str, Clocks]]) -> Clocks:
    """Return of each clock the shortest of several jurisdictions: the shortest clock wins.

    Args:
        clocks: pairs of a code of a jurisdiction and its clocks; at least one. The reason names the code that won; of
            equal ones, the first.
    """
    given = list(clocks)
    days, reasons = {}, {}
    for name in CLOCK_NAMES:
        code, winner = min(given, key=lambda one: one[1].days(name))
        days[name], reasons[name] = winner.days(name), f"{code}: {winner.reasons[name]}"
    return Clocks.of(days, reasons)
