"""A sheet for the deployer under the AI Act (Regulation (EU) 2024/1689): class by kind of comparison, dates, duties.

1:1 is excluded from Annex III, point 1(a), by its words. 1:N is remote biometric identification if people take no
active part (article 3(41)): the trigger of the zone says whether they do. The deployer decides, so that is a gap.
"""

from datetime import date
from typing import Final

from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import Source
from volens.consent.processing_record import Comparison
from volens.consent.zone import Trigger
from volens.rights.papers.paper import Draft, Gap, Grid, Row, Section
from volens.rights.papers.paper_facts import PaperFacts

SOURCES: Final = (
    Source(
        "https://aiact.annotated.nl/en/aiact/annex/iii/1/a/",
        date(2026, 11, 30),
        "Annex III, point 1(a): remote identification; verification of a claimed identity is excluded",
    ),
    Source(
        "https://cambridge-commentary.ai/glossary/remote-biometric-identification-system/",
        date(2026, 11, 30),
        "article 3(41): remote is without the active involvement of people",
    ),
    Source("https://overview.legal/laws/ai-act/art-26", date(2026, 11, 30), "article 26: duties of deployers"),
    Source(
        "https://www.deepinspect.ai/blog/eu-ai-act-omnibus-adopted-high-risk-deadline-deferred-december-2027",
        date(2026, 11, 30),
        "Digital Omnibus, adopted on 29 June 2026: Annex III from 2 December 2027; articles 5 and 50 keep their dates",
    ),
)
NOT_CHECKED: Final = (
    "The text of the Digital Omnibus in the Official Journal, and guidelines of the Commission on high-risk systems.",
    "Articles 25, 26(11), 27 and 86, which were recalled.",
    "Whether a door is a publicly accessible space, and the law of a Member State on it (article 5).",
)
DATES: Final = (
    ("literacy", "2025-02-02"),
    ("forbidden", "2025-02-02"),
    ("open", "2026-08-02"),
    ("duties", "2027-12-02"),
)
"""From when articles 4, 5, 50 and 26 apply."""
DUTIES: Final = ("instructions", "oversight", "input", "monitor", "logs", "workers", "people")
SIX_MONTHS_DAYS: Final = 183
"""How long article 26(6) wants logs of a high-risk system to be kept, at least."""


def ai_act_paper(facts: PaperFacts) -> Draft:
    """Return the sheet of one zone."""
    words = facts.words("paper_ai_act")

    def ask(name: str) -> Row:
        return Row(words.text(f"ask {name}"), Gap(words.text(f"question {name}"), None))

    dates = tuple((day, words.text(f"applies {name}")) for name, day in DATES)
    duties = tuple((words.text(f"duty {name}"), words.text(f"given {name}")) for name in DUTIES)
    sections = (
        Section(
            words.text("heading class"),
            text=(words.text(f"class {_class(facts)}"),),
            rows=(
                facts.row("comparison", facts.comparison),
                Row(words.text("fact doors"), " ".join(facts.doors())),
                facts.row("purpose", facts.purpose),
                ask("class"),
                ask("role"),
            ),
        ),
        Section(words.text("heading forbidden"), text=(words.text("forbidden_text"),)),
        Section(
            words.text("heading dates"), grid=Grid((words.text("column day"), words.text("column applies")), dates)
        ),
        Section(
            words.text("heading duties"),
            text=(words.text("duties_text"),),
            grid=Grid((words.text("column duty"), words.text("column given")), duties),
        ),
        Section(
            words.text("heading open"),
            rows=(
                ask("oversight"),
                Row(words.text("fact logs"), _logs(facts)),
                facts.site(SiteFact.WORKERS_REPRESENTATIVES),
                facts.zone(ZoneFact.HUMAN_WAY),
                ask("training"),
                ask("rights"),
            ),
        ),
    )
    return Draft(words.text("title"), sections, SOURCES, NOT_CHECKED)


def _class(facts: PaperFacts) -> str:
    if facts.record.comparison is Comparison.VERIFICATION:
        return "verification"
    return "passing" if facts.record.zone.trigger is Trigger.PASSING else "asked"


def _logs(facts: PaperFacts) -> str:
    """Return how long visits are kept, and whether that is shorter than the six months of article 26(6)."""
    words, days = facts.words("paper_ai_act"), facts.record.zone.match_history_days
    return words.text("logs_long" if days >= SIX_MONTHS_DAYS else "logs_short", days=days)
