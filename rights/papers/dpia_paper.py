"""A draft of the data protection impact assessment (GDPR 35), in sections 0 to 6 of the EDPB's template of 2026.

The program knows the system: what is processed, how, for how long, and by which measures. Necessity, levels of risk,
advice and the decision are for people: they are gaps, so that the draft cannot be taken for an assessment.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import GateKind, Source
from volens.rights.papers.cnil_pia import cnil_pia
from volens.rights.papers.known_limits import known_limits
from volens.rights.papers.paper import Draft, Gap, Grid, Row, Section
from volens.rights.papers.paper_facts import PaperFacts

SOURCES: Final = (
    Source(
        "https://www.dastra.eu/en/audit/referential/8d453984-2adb-48e2-10d4-08deafe83c09",
        date(2026, 11, 30),
        "EDPB DPIA template 1.0 (10 March 2026): the headings of sections 0 and 1, as a vendor lists them",
    ),
    Source(
        "https://www.reedsmith.com/our-insights/blogs/viewpoints/102mqej/one-template-to-rule-them-all-the-edpbs-new-dpia-template/",
        date(2026, 11, 30),
        "that the template has seven sections, 0 to 6",
    ),
    Source(
        "https://digitalpolicyalert.org/event/39226-european-data-protection-board-opened-consultation-on-template-for-"
        "data-protection-impact-assessments",
        date(2026, 11, 30),
        "what sections 2 to 6 ask for: lawfulness, necessity, risks, advice and views, the decision",
    ),
    Source(
        "https://github.com/LINCnil/pia (cypress/fixtures/pia.json, src/assets/files/pia_architecture.json)",
        date(2026, 11, 30),
        "the JSON that the CNIL's PIA tool imports, and the numbers of its questions",
    ),
)
NOT_CHECKED: Final = (
    "The EDPB's template itself, and what its consultation changed: headings 2 to 6 follow descriptions of 1.0.",
    "An import into the CNIL's PIA tool: the file has the members of its published example.",
)
RISKS: Final = ("access", "change", "loss")
"""The three feared events of the CNIL's method: illegitimate access, unwanted change, disappearance of data."""


def dpia_paper(facts: PaperFacts) -> Draft:
    """Return the draft for one zone."""
    return Draft(
        title=facts.words("paper_dpia").text("title"),
        sections=tuple(_sections(facts)),
        sources=SOURCES,
        not_checked=NOT_CHECKED,
        more_files={"cnil-pia.json": cnil_pia(facts, RISKS)},
    )


def _sections(facts: PaperFacts) -> Iterator[Section]:
    words = facts.words("paper_dpia")

    def ask(name: str) -> Row:
        return Row(words.text(f"ask {name}"), Gap(words.text(f"question {name}"), None))

    def said(name: str) -> Row:
        return Row(words.text(f"fact {name}"), words.text(f"stated {name}"))

    yield Section(words.text("section 0"), rows=_overview(facts, ask("authors"), said("reasons")))
    yield Section(
        words.text("section 1"),
        rows=(
            facts.row("data", facts.data),
            facts.row("purpose", facts.purpose),
            said("secondary"),
            facts.row("comparison", facts.comparison),
            facts.row("custody", facts.custody),
            facts.zone(ZoneFact.AFFECTED),
            facts.row("live_consents", str(facts.live_consents)),
            facts.zone(ZoneFact.CONTEXT),
            *map(said, facts.phases),
            Row(words.text("fact doors"), " ".join(facts.doors())),
            facts.site(SiteFact.STORAGE_PLACE),
        ),
    )
    yield Section(
        words.text("section 2"),
        rows=(
            facts.row("basis", f"{facts.record.profile.lawful_basis} ({facts.record.profile.law})"),
            said("consent"),
            said("quality"),
            *facts.period_rows(),
            facts.row("recipients", facts.recipients),
            facts.site(SiteFact.TRANSFERS),
            facts.authority(),
        ),
    )
    yield Section(words.text("heading rights"), rows=facts.rights())
    yield Section(words.text("heading measures"), rows=tuple(Row(*one) for one in facts.measures()))
    yield Section(words.text("section 3"), text=(words.text("necessity_text"),), rows=_necessity(facts))
    yield Section(words.text("section 4"), text=(words.text("risk_text"),), grid=_risks(facts), rows=(ask("levels"),))
    yield Section(
        words.text("heading residual"),
        text=(words.text("residual_text"),),
        points=known_limits(),
        in_english=True,
    )
    yield Section(words.text("heading plan"), rows=(ask("plan"),))
    agreed = _gate_rows(facts)
    yield Section(
        words.text("section 5"),
        rows=(
            facts.site(SiteFact.DPO),
            ask("dpo"),
            facts.site(SiteFact.WORKERS_REPRESENTATIVES),
            ask("views"),
            *agreed,
        ),
    )
    yield Section(words.text("section 6"), rows=(ask("decision"), ask("consultation"), facts.zone(ZoneFact.DPIA)))


def _overview(facts: PaperFacts, authors: Row, reasons: Row) -> tuple[Row, ...]:
    shared, words = facts.shared, facts.words("paper_dpia")
    begun = facts.record.zone.created_at.date().isoformat()
    return (
        *facts.controller_rows(),
        facts.row("processors", Gap(shared.text("question processors"), None)),
        facts.row("name", facts.zone_name),
        Row(words.text("fact planning"), words.text("stated planning", day=begun)),
        authors,
        reasons,
    )


def _necessity(facts: PaperFacts) -> tuple[Row, ...]:
    zone = facts.record.zone
    return (
        facts.zone(ZoneFact.CONTEXT),
        facts.zone(ZoneFact.WHY_NOT_BADGE),
        facts.zone(ZoneFact.WHY_FACE),
        facts.row("justification", zone.justification),
        facts.row("alternative", zone.alternative),
        facts.zone(ZoneFact.ALTERNATIVE_COST),
        facts.zone(ZoneFact.ALTERNATIVE_TIME),
        facts.zone(ZoneFact.ALTERNATIVE_PLACE),
        facts.zone(ZoneFact.HUMAN_WAY),
    )


def _gate_rows(facts: PaperFacts) -> tuple[Row, ...]:
    """Return the works agreement, where the law of the profile asks for one before people are asked."""
    asked = any(gate.kind is GateKind.WORKS_AGREEMENT for gate in facts.record.profile.gates)
    return (facts.zone(ZoneFact.WORKS_AGREEMENT),) if asked else ()


def _risks(facts: PaperFacts) -> Grid:
    words = facts.words("paper_dpia")
    columns = ("risk", "impact", "threat", "source", "against")
    head = tuple(words.text(f"column {one}") for one in columns)
    return Grid(head, tuple(tuple(words.text(f"{one} {name}") for one in columns) for name in RISKS))
