"""`volens declare`: facts that only people know, such as the data protection officer, for notices and papers."""

from collections.abc import Mapping
from typing import Annotated

import typer

from volens import Site
from volens.consent.declarations import SiteFact, ZoneFact
from volens.erase.pages import DEFAULT_LANGUAGE, PageWords
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.output import table

app = Commands("declare", "Declare facts that only people know, for notices and papers.")

_QUESTIONS = PageWords("declarations", DEFAULT_LANGUAGE)
_Fact = Annotated[str, typer.Argument(help="The fact; 'volens declare list' shows all, with their questions.")]
_Value = Annotated[str, typer.Argument(help="The answer in your words, a date YYYY-MM-DD, or a number; '' takes back.")]


@app.command("site", 'dpo "Dana Doe, dpo@example.com"')
def site_(site: Site, fact: _Fact, value: _Value) -> Output:
    """Declare a fact about the controller, such as the data protection officer."""
    found = site.declarations.declare({fact: value})
    return dict(found), _lines(SiteFact, found)


@app.command("zone", "lobby works-agreement 2026-11-01")
def zone_(
    site: Site,
    name: Annotated[str, typer.Argument(help="The zone.", show_default=False)],
    fact: _Fact,
    value: _Value,
) -> Output:
    """Declare a fact about a zone, such as the day of the works agreement."""
    found = site.declarations.declare_zone(name, {fact: value})
    return dict(found), _lines(ZoneFact, found)


@app.command("list", "--zone lobby")
def list_(
    site: Site, zone: Annotated[str | None, typer.Option(help="The facts about this zone, not the site.")] = None
) -> Output:
    """List the facts with their answers; those without an answer are gaps in notices and papers."""
    if zone is not None:
        of_zone = site.declarations.of_zone(zone)
        return dict(of_zone), _lines(ZoneFact, of_zone)
    of_site = site.declarations.of_site()
    return dict(of_site), _lines(SiteFact, of_site)


def _lines(kind: type[SiteFact] | type[ZoneFact], found: Mapping[SiteFact, str] | Mapping[ZoneFact, str]) -> str:
    answers = {fact.value: text for fact, text in found.items()}
    rows = [(one.value.replace("_", "-"), answers.get(one.value, ""), _QUESTIONS.text(one.value)) for one in kind]
    return table(("fact", "answer", "question"), rows)
