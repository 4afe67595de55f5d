"""Quebec: what the declaration to the Commission d'accès à l'information asks about (CQLR, c. C-1.1, sections 44, 45).

The form itself is the Commission's; this is what to fill it in with, and when the zone may open after it.
"""

from datetime import date, timedelta
from typing import Final

from volens.consent.declarations import SiteFact, ZoneFact, declared_day
from volens.consent.law import GateKind, Source
from volens.rights.papers.paper import Draft, Gap, Row, Section
from volens.rights.papers.paper_facts import PaperFacts

SOURCES: Final = (
    Source(
        "https://www.cai.gouv.qc.ca/biometrie/",
        date(2026, 11, 30),
        "the database is declared 60 days before it is used, and the process before it is used",
    ),
    Source(
        "https://www.cai.gouv.qc.ca/biometrie/le-consentement-a-lutilisation-de-la-biometrie/",
        date(2026, 11, 30),
        "a consent is manifest, free, informed, specific and limited in time; another way in must be there",
    ),
)
NOT_CHECKED: Final = ("The Commission's form itself: its questions were not read, so this follows the two sections.",)


def quebec_paper(facts: PaperFacts) -> Draft:
    """Return the answers for the declaration of one zone."""
    words, zone = facts.words("paper_quebec"), facts.record.zone
    sections = (
        Section(
            words.text("heading organisation"),
            rows=(*facts.controller_rows(), facts.site(SiteFact.STORAGE_PLACE)),
        ),
        Section(
            words.text("heading system"),
            rows=(
                facts.row("name", facts.zone_name),
                facts.row("comparison", facts.comparison),
                facts.row("custody", facts.custody),
                facts.row("data", facts.data),
                facts.row("live_consents", str(facts.live_consents)),
                facts.zone(ZoneFact.AFFECTED),
                Row(words.text("fact doors"), " ".join(facts.doors())),
            ),
        ),
        Section(
            words.text("heading purpose"),
            rows=(
                facts.row("purpose", facts.purpose),
                facts.zone(ZoneFact.CONTEXT),
                facts.zone(ZoneFact.WHY_NOT_BADGE),
                facts.zone(ZoneFact.WHY_FACE),
                facts.row("justification", zone.justification),
                facts.zone(ZoneFact.DPIA),
            ),
        ),
        Section(
            words.text("heading consent"),
            text=(words.text("consent_text"),),
            rows=(
                facts.row("basis", facts.record.profile.lawful_basis),
                facts.row("alternative", zone.alternative),
                facts.zone(ZoneFact.ALTERNATIVE_COST),
                facts.zone(ZoneFact.MINORS),
            ),
        ),
        Section(words.text("heading end"), rows=facts.period_rows()),
        Section(
            words.text("heading security"),
            rows=(
                *(Row(title, text) for title, text in facts.measures()),
                facts.row("recipients", facts.recipients),
                facts.site(SiteFact.TRANSFERS),
            ),
        ),
        Section(words.text("heading dates"), rows=(facts.zone(ZoneFact.DECLARED_ON), _opens(facts))),
    )
    return Draft(words.text("title"), sections, SOURCES, NOT_CHECKED)


def _opens(facts: PaperFacts) -> Row:
    """Return the first day on which people may be asked: the day of the declaration and the days of the profile."""
    words, declared = facts.words("paper_quebec"), facts.record.zone_facts.get(ZoneFact.DECLARED_ON)
    gates = [gate for gate in facts.record.profile.gates if gate.kind is GateKind.DECLARATION]
    label = words.text("fact opens")
    days = max((gate.days_before for gate in gates), default=0)
    if declared is None:
        return Row(label, Gap(words.text("question opens", days=days), None))
    first = declared_day(declared) + timedelta(days=days)
    return Row(label, ", ".join((first.isoformat(), *(gate.article for gate in gates))))
