"""The protocol for a data security incident, which Colorado wants in the written policy (C.R.S. 6-1-1314, HB 24-1130).

Each step names the command that does it; a test parses every one of them.
"""

from datetime import date
from typing import Final

from volens.consent.declarations import SiteFact
from volens.consent.law import Source
from volens.rights.papers.paper import Draft, Gap, Row, Section
from volens.rights.papers.paper_facts import PaperFacts
from volens.store.files import shell_command

SOURCES: Final = (
    Source(
        "https://www.catallaxcore.com/bills/7ce9202f-4987-406a-9e26-e624338d138a",
        date(2026, 11, 30),
        "HB 24-1130: the policy has a retention schedule, a protocol for incidents, rules of deletion; it is public",
    ),
)
NOT_CHECKED: Final = (
    "Periods and forms for telling people and the Attorney General of Colorado (C.R.S. 6-1-716).",
    "What the insurer or a contract wants.",
)


def incident_paper(facts: PaperFacts) -> Draft:
    """Return the protocol for one zone."""
    words = facts.words("paper_incident")

    def ask(name: str) -> Row:
        return Row(words.text(f"ask {name}"), Gap(words.text(f"question {name}"), None))

    def steps(*names: str) -> tuple[Row, ...]:
        return tuple(Row(words.text(f"step {name}"), COMMANDS[name].format(zone=_zone(facts))) for name in names)

    sections = (
        Section(
            words.text("heading who"),
            text=(words.text("who_text"),),
            rows=(facts.site(SiteFact.INCIDENT_CONTACT), facts.site(SiteFact.DPO), ask("deputy")),
        ),
        Section(
            words.text("heading stop"), text=(words.text("stop_text"),), rows=steps("pause", "credential", "kiosk")
        ),
        Section(words.text("heading keep"), text=(words.text("keep_text"),), rows=steps("log", "check", "backup")),
        Section(words.text("heading know"), rows=steps("facts")),
        Section(words.text("heading keys"), rows=steps("root", "signing")),
        Section(words.text("heading tell"), rows=(facts.authority(), ask("authority"), ask("people"))),
        Section(words.text("heading delete"), text=(words.text("delete_text"),), rows=facts.period_rows()),
        Section(words.text("heading after"), rows=(*steps("resume"), ask("review"))),
    )
    return Draft(words.text("title"), sections, SOURCES, NOT_CHECKED)


COMMANDS: Final = {
    "pause": "volens zone pause {zone}",
    "credential": "volens credential list; volens credential end ID",
    "kiosk": "volens credential list --all",
    "log": "volens audit export volens-log.jsonl",
    "check": "volens doctor --evidence FILE",
    "backup": "volens backup FOLDER",
    "facts": "volens breach --from DAY --to today --learnt-at TIME --out FOLDER",
    "root": "volens keys rotate --root",
    "signing": "volens keys rotate --signing",
    "resume": "volens zone resume {zone}",
}
"""The commands of the steps; several are separated by a semicolon, words in capitals are to be filled in."""


def _zone(facts: PaperFacts) -> str:
    return shell_command(facts.record.zone.purpose)
