"""The facts of a paper in the words of its reader: taken from the processing record, or a gap with its question."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import CLOCK_NAMES, shipped_profiles
from volens.consent.processing_record import ProcessingRecord
from volens.consent.zone import Custody
from volens.erase.pages import PageLanguage, PageWords
from volens.rights.papers.operations import Operation
from volens.rights.papers.paper import Answer, Gap, Row
from volens.store.files import shell_command

UNION: Final = shipped_profiles()["EU"].members
"""Countries whose law is that of the Union or follows it (EEA)."""
MEASURES: Final = ("consent", "encryption", "minimal", "access", "erasure", "log", "tamper", "backups")
"""Security measures that every site has (GDPR 32); `measure NAME` is the title and `measured NAME` the text."""


@final
@dataclass(frozen=True, slots=True)
class PaperFacts:
    """What a paper can say of one zone.

    Attributes:
        live_consents: how many people of the zone have a consent in force now, of all jurisdictions.
        operations: of the HTTP interface.
    """

    record: ProcessingRecord
    language: PageLanguage
    live_consents: int
    operations: tuple[Operation, ...] = ()

    @property
    def shared(self) -> PageWords:
        """The words that several papers use."""
        return PageWords("paper", self.language)

    def words(self, page: str) -> PageWords:
        """Return the words of one kind of paper."""
        return PageWords(page, self.language)

    def label(self, name: str) -> str:
        """Return a label that several papers use."""
        return self.shared.text(f"label {name}")

    def row(self, name: str, answer: Answer) -> Row:
        """Return a fact with a label that several papers use."""
        return Row(self.label(name), answer)

    def site(self, fact: SiteFact) -> Row:
        """Return a declared fact about the controller, or its gap; the label is that of the fact."""
        gap = Gap(self._question(fact.value), f"volens declare site {_typed(fact)} TEXT")
        return self.row(fact.value, self.record.site_facts.get(fact, gap))

    def zone(self, fact: ZoneFact) -> Row:
        """Return a declared fact about the zone, or its gap."""
        command = shell_command("volens", "declare", "zone", self.record.zone.purpose, _typed(fact), "TEXT")
        gap = Gap(self._question(fact.value), command)
        return self.row(fact.value, self.record.zone_facts.get(fact, gap))

    def controller_rows(self) -> tuple[Row, ...]:
        """Return who is responsible."""
        controller = self.record.controller
        return (
            self.row("controller", controller.name),
            self.row("contact", controller.contact),
            *map(self.site, (SiteFact.ADDRESS, *_represented(self.record.jurisdiction), SiteFact.DPO)),
        )

    @property
    def zone_name(self) -> str:
        """The zone as people know it, with its name in commands."""
        zone = self.record.zone
        return f"{zone.title} ({zone.purpose})" if zone.title else zone.purpose

    @property
    def purpose(self) -> str:
        """The purpose of the processing, as a sentence."""
        return f"{self.purpose_words[:1].upper()}{self.purpose_words[1:]}."

    @property
    def purpose_words(self) -> str:
        """The purpose of the processing, as a part of a sentence."""
        return self.shared.text("purpose")

    @property
    def recipients(self) -> str:
        """The recipients with their contacts, or that there are none."""
        named = "; ".join(f"{one.name} ({one.contact})" for one in self.record.recipients)
        return named or self.shared.text("no_recipients")

    @property
    def comparison(self) -> str:
        """Whether the zone identifies or verifies a claim, in words."""
        return self.shared.text(f"comparison {self.record.comparison.name.lower()}")

    @property
    def data(self) -> str:
        """What is stored of a person, in words."""
        return self.shared.text(f"data {'carried' if self.is_carried else 'stored'}")

    @property
    def is_carried(self) -> bool:
        """Whether the person alone has the reference, so that the site stores none."""
        return self.record.zone.custody is Custody.BADGE

    @property
    def custody(self) -> str:
        """Who holds the key, in words."""
        return self.shared.text(f"holds {self.record.zone.custody.value}")

    @property
    def phases(self) -> tuple[str, ...]:
        """The names of the phases of the data, from the collection to the end; `stated NAME` of the draft says what."""
        store = "phase_carry" if self.is_carried else "phase_store"
        return ("phase_enroll", "phase_compare", store, "phase_end")

    def doors(self) -> tuple[str, ...]:
        """Return what the doors of the zone do before they compare, in sentences that the retention policy uses too."""
        zone, policy = self.record.zone, self.words("retention_policy")
        liveness = f"liveness {zone.liveness.value}"
        stated = policy.text(liveness) if liveness in policy else self.shared.text("no_liveness")
        return (policy.text(f"trigger {zone.trigger.value}"), stated)

    def period_rows(self) -> tuple[Row, ...]:
        """Return how long each kind of data is kept: the shortest clock of zone and profile."""
        record, words = self.record, self.shared
        visits = record.zone.match_history_days
        days = {name: record.profile.clocks.days(name) for name in CLOCK_NAMES}
        days |= {"max_term_days": record.max_term_days, "inactive_after_days": record.inactive_after_days}
        rows = [
            self.row(name, words.text("days", days=value) if value else words.text("same_day"))
            for name, value in days.items()
        ]
        return (*rows, self.row("visits", words.text("days", days=visits) if visits else words.text("no_visits")))

    def measures(self) -> Iterable[tuple[str, str]]:
        """Yield title and text of each security measure."""
        for name in MEASURES:
            yield self.shared.text(f"measure {name}"), self.shared.text(f"measured {name}")

    def rights(self) -> tuple[Row, ...]:
        """Return each right of the person with the command that carries it out."""
        rights = self.record.profile.rights
        return tuple(Row(self.shared.text(f"right {one.value}"), one.command) for one in rights)

    def authority(self) -> Row:
        """Return the authority to which a person can complain."""
        found = self.record.profile.authority
        return self.row("authority", f"{found.name[self.language]} ({found.url})")

    def _question(self, name: str) -> str:
        return self.words("declarations").text(name)


def _represented(jurisdiction: str) -> tuple[SiteFact, ...]:
    """Return the representative in the Union where its law holds (GDPR 27)."""
    return (SiteFact.REPRESENTATIVE,) if jurisdiction.partition("-")[0] in UNION else ()


def _typed(fact: SiteFact | ZoneFact) -> str:
    return fact.value.replace("_", "-")
