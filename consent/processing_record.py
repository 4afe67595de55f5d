"""The processing record: one model of what a zone promises to people of one jurisdiction.

Receipt, policy, notice, answers and papers state their facts from here, so that they cannot contradict each other or
the zone. A fact that only people know is a declaration (`volens.consent.declarations`); one that no one declared is
absent here, and a gap in a paper.

Source: GDPR 13, 15 and 30; ISO/IEC TS 27560:2023; CNIL model regulation 2019-001.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, final

from volens.consent.canonical import canonical_sha256
from volens.consent.clocks import INACTIVE_AFTER_DAYS
from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import JurisdictionProfile
from volens.consent.receipt import Controller
from volens.consent.zone import Custody, Zone

ATTRIBUTES: Final = {"face embedding": True, "name": False}
"""What is stored of a person, and whether it is a special category (GDPR 9); photos never are."""


class Comparison(StrEnum):
    """How a zone compares a face (ISO/IEC 2382-37): with all references, or with the one that a person claims."""

    IDENTIFICATION = "biometric identification (1:N)"
    VERIFICATION = "biometric verification of a claim (1:1)"


def comparison_of(zone: Zone) -> Comparison:
    """Return whether a zone searches all references or compares one. One that searches never says that it verifies.

    A zone of custody ``operator`` with a second factor searches too: ADR 0025.
    """
    return Comparison.IDENTIFICATION if zone.custody is Custody.OPERATOR else Comparison.VERIFICATION


@final
@dataclass(frozen=True, slots=True)
class NamedRecipient:
    """A recipient of the zone's data, as people are told of it (GDPR 13(1)(e))."""

    name: str
    contact: str


@final
@dataclass(frozen=True, slots=True)
class ProcessingRecord:
    """What holds for people of one jurisdiction in one zone, now.

    Attributes:
        jurisdiction: the ISO 3166 code of the law that protects the person.
        profile: of that jurisdiction; it may be the profile of a larger area, such as the EU.
        recipients: present ones, by name.
    """

    controller: Controller
    zone: Zone
    jurisdiction: str
    profile: JurisdictionProfile
    recipients: tuple[NamedRecipient, ...] = ()
    site_facts: Mapping[SiteFact, str] = field(default_factory=dict)
    zone_facts: Mapping[ZoneFact, str] = field(default_factory=dict)

    @property
    def comparison(self) -> Comparison:
        """How the zone compares a face; see `comparison_of`."""
        return comparison_of(self.zone)

    @property
    def max_term_days(self) -> int:
        """The longest term that a person of this jurisdiction can sign here: the shortest clock wins."""
        return min(self.zone.retention_days, self.profile.clocks.max_term_days)

    @property
    def inactive_after_days(self) -> int:
        """After how many days without a visit a consent ends: the shortest clock wins."""
        return min(INACTIVE_AFTER_DAYS, self.profile.clocks.inactive_after_days)

    @property
    def transfers(self) -> str | None:
        """The declared transfers to third countries; None if no one declared whether there are any."""
        return self.site_facts.get(SiteFact.TRANSFERS)

    def to_json(self) -> dict[str, Any]:
        """Return every fact of the record as JSON; what people are told is a selection of it in words."""
        zone, clocks = self.zone, self.profile.clocks
        return {
            "controller": {
                "site_id": self.controller.site_id,
                "name": self.controller.name,
                "contact": self.controller.contact,
                **{fact.value: text for fact, text in sorted(self.site_facts.items())},
            },
            "zone": {
                "name": zone.purpose,
                "title": zone.title,
                "state": zone.state.value,
                "custody": zone.custody.value,
                "comparison": self.comparison.value,
                "justification": zone.justification,
                "alternative": zone.alternative,
                "second_factor": zone.second_factor.value,
                "desk_signature": zone.desk_signature.value,
                "fpir": zone.fpir.value,
                "trigger": zone.trigger.value,
                "liveness": zone.liveness.value,
                "match_history_days": zone.match_history_days,
                "lease_seconds": zone.lease_seconds,
                "after_lease": zone.after_lease.value,
                **{fact.value: text for fact, text in sorted(self.zone_facts.items())},
            },
            "jurisdiction": self.jurisdiction,
            "profile": self.profile.code,
            "law": self.profile.law,
            "lawful_basis": self.profile.lawful_basis,
            "attributes": list(ATTRIBUTES),
            "rights": [right.value for right in self.profile.rights],
            "authority": self.profile.authority.url,
            "recipients": [{"name": one.name, "contact": one.contact} for one in self.recipients],
            "periods_days": {
                "max_term": self.max_term_days,
                "inactive_after": self.inactive_after_days,
                "after_purpose": clocks.after_purpose_days,
                "evidence": clocks.evidence_days,
                "log_openings": clocks.log_openings_days,
                "requests": clocks.requests_days,
            },
        }

    @property
    def sha256(self) -> str:
        """The hash of `to_json` in canonical form (RFC 8785), 64 hexadecimal digits: it changes with any fact."""
        return canonical_sha256(self.to_json())
