"""Gates: what must be done before people of a jurisdiction are asked in a zone, such as an impact assessment.

A gate is a date that the operator declares for the zone (`volens.consent.declarations`). Until that date, and the days
that the law wants after it, nothing new is collected of people of this jurisdiction. See docs/adr/0076.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final, final

from volens.consent.declarations import ZoneFact, declared_day
from volens.consent.errors import RefusedError
from volens.consent.law.jurisdiction_profile import JurisdictionProfile
from volens.consent.law.law_terms import Gate, GateKind
from volens.consent.reason import Reason

FACTS: Final[Mapping[GateKind, ZoneFact]] = MappingProxyType(
    {
        GateKind.WORKS_AGREEMENT: ZoneFact.WORKS_AGREEMENT,
        GateKind.DPIA: ZoneFact.DPIA,
        GateKind.DECLARATION: ZoneFact.DECLARED_ON,
    }
)
"""The fact that answers the question of each gate."""


@final
@dataclass(frozen=True, slots=True)
class ClosedGate:
    """A gate that keeps a zone closed to people of one jurisdiction.

    Attributes:
        jurisdiction: of the people; the gate may come from the profile of a larger area.
        opens_on: the first day on which it is open (UTC); None while no date is declared.
    """

    zone: str
    jurisdiction: str
    gate: Gate
    opens_on: date | None

    @property
    def command(self) -> str:
        """The command that declares the date."""
        return f"volens declare zone {self.zone} {FACTS[self.gate.kind].value.replace('_', '-')} YYYY-MM-DD"

    def sentence(self, language: str = "en") -> str:
        """Return what is missing, with the article and the next step; the question is in one of `LANGUAGES`."""
        if self.opens_on is not None:
            return f"by the declared date it opens on {self.opens_on} ({self.gate.article}); wait, or correct the date"
        return f"{self.gate.question[language]} ({self.gate.article}); answer with '{self.command}'"


def closed_gates(
    profile: JurisdictionProfile, zone: str, jurisdiction: str, facts: Mapping[ZoneFact, str], today: date
) -> tuple[ClosedGate, ...]:
    """Return the gates that are closed on a day, in the order of the profile.

    Args:
        profile: of the jurisdiction of the people.
        zone: its name.
        jurisdiction: ISO 3166.
        facts: what is declared about the zone.
        today: in UTC.

    Not checked: whether what is declared was really done.
    """
    found = []
    for gate in profile.gates:
        answer = facts.get(FACTS[gate.kind])
        opens_on = None if answer is None else _opening(declared_day(answer), gate.days_before)
        if opens_on is None or opens_on > today:
            found.append(ClosedGate(zone, jurisdiction, gate, opens_on))
    return tuple(found)


def check_open(closed: Sequence[ClosedGate]) -> None:
    """Check that no gate is closed.

    Raises:
        RefusedError: one is; the message has of each the article, the question and the next step.
    """
    if closed:
        raise RefusedError(
            f"zone {closed[0].zone!r} is not open to people of {closed[0].jurisdiction} yet, and nothing was recorded: "
            f"{'; '.join(one.sentence() for one in closed)}",
            reason=Reason.ZONE_NOT_OPEN,
        )


def _opening(declared: date, days: int) -> date:
    """Return the day that is so many days later, at most the last one that a date can have."""
    return declared + timedelta(days=days) if days <= (date.max - declared).days else date.max
