"""The pack for a works council: what is recorded, who sees what, and that no one can list comings and goings.

Roles and operations come from the interface itself (`volens.rights.papers.operations`). The sentence about visits is
derived from them: if an operation listed visits, the paper would name it.

Source: BetrVG 87(1) nos. 1 and 6 and Code du travail L. 2312-38, by way of the profiles DE and FR.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import Source
from volens.rights.papers.operations import Operation, lists_visits
from volens.rights.papers.paper import Draft, Gap, Grid, Row, Section
from volens.rights.papers.paper_facts import PaperFacts
from volens.store.people.disclosures import KEPT_DAYS

SOURCES: Final = (
    Source(
        "the description (OpenAPI) of the HTTP interface of this version of Volens",
        date(2026, 11, 30),
        "operations, the roles that may call each, and the models of their requests and responses",
    ),
)
NOT_CHECKED: Final = (
    "What an agreement must contain under a collective agreement or the law of a place.",
    "Pages for people, which are not in that description: a test checks that no page for staff reads visits.",
    "What programs of the house do with decisions and messages that they receive.",
)
WITHOUT_CREDENTIAL: Final = "-"


def works_council_paper(facts: PaperFacts) -> Draft:
    """Return the pack for one zone."""
    return Draft(facts.words("paper_works_council").text("title"), tuple(_sections(facts)), SOURCES, NOT_CHECKED)


def _sections(facts: PaperFacts) -> Iterator[Section]:
    words, zone = facts.words("paper_works_council"), facts.record.zone

    def ask(name: str) -> Row:
        return Row(words.text(f"ask {name}"), Gap(words.text(f"question {name}"), None))

    yield Section(
        words.text("heading purpose"),
        text=(words.text("no_control"),),
        rows=(
            facts.row("purpose", facts.purpose),
            facts.zone(ZoneFact.AFFECTED),
            facts.row("comparison", facts.comparison),
            facts.row("custody", facts.custody),
            Row(words.text("fact doors"), " ".join(facts.doors())),
            facts.row("alternative", zone.alternative),
            facts.zone(ZoneFact.ALTERNATIVE_COST),
            facts.zone(ZoneFact.HUMAN_WAY),
        ),
    )
    visits = "visits" if zone.match_history_days else "visits_not_kept"
    recorded = (visits, "decisions", "strangers", "names", "log")
    stated = tuple(Row(words.text(f"fact {one}"), words.text(f"stated {one}", days=KEPT_DAYS)) for one in recorded)
    yield Section(words.text("heading recorded"), rows=(*stated, *facts.period_rows()))
    yield _no_list(facts)
    yield Section(
        words.text("heading who"),
        text=(words.text("who_text", count=len(facts.operations)),),
        grid=_roles(facts.operations, words.text("column role"), words.text("column what")),
        in_english=True,
    )
    yield Section(words.text("heading limits"), points=tuple(words.text(f"limit {one}") for one in _LIMITS))
    yield Section(words.text("heading leaves"), rows=(facts.row("recipients", facts.recipients),))
    yield Section(words.text("heading rights"), rows=(*facts.rights(), facts.authority()))
    agreed = (facts.site(SiteFact.WORKERS_REPRESENTATIVES), facts.zone(ZoneFact.WORKS_AGREEMENT))
    yield Section(words.text("heading agreement"), rows=(*agreed, ask("evaluation"), ask("inspection")))


_LIMITS: Final = ("operator", "auditor", "messages", "root")


def _no_list(facts: PaperFacts) -> Section:
    """Return the statement about lists of visits, with the operations from which it follows."""
    words, offered = facts.words("paper_works_council"), facts.operations
    lists, own = lists_visits(offered), [one for one in offered if one.shows_visits and one.asks_for_proof]
    sentence = words.text("lists_visits" if lists else "no_list", count=len(offered))
    return Section(
        words.text("heading no_list"),
        text=(sentence, words.text("derived")),
        grid=Grid(
            (words.text("column operation"), words.text("column may"), words.text("column why")),
            (
                *((one.name, _callers(one), words.text("why listed")) for one in lists),
                *((one.name, _callers(one), words.text("why own")) for one in own),
                *((one.name, _callers(one), words.text("why file")) for one in offered if one.gives_file and one.roles),
            ),
        ),
    )


def _roles(operations: tuple[Operation, ...], role: str, may: str) -> Grid:
    roles = sorted({one for operation in operations for one in operation.roles})
    rows = [(one, "; ".join(its.summary for its in operations if one in its.roles)) for one in roles]
    public = "; ".join(its.summary for its in operations if not its.roles)
    return Grid((role, may), (*rows, (WITHOUT_CREDENTIAL, public)))


def _callers(operation: Operation) -> str:
    return ", ".join(sorted(operation.roles)) or WITHOUT_CREDENTIAL
