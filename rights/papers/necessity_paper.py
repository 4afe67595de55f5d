"""Necessity and choice: the four answers that the CNIL asks of a controller which compares faces at work.

Model regulation 2019-001 of the CNIL: the context, why a badge is not enough, why this characteristic, and, where the
controller holds the key (type 3), why the person does not (types 1 and 2).
"""

from datetime import date
from typing import Final

from volens.consent.declarations import ZoneFact
from volens.consent.law import Source
from volens.consent.zone import Custody
from volens.rights.papers.paper import Draft, Row, Section
from volens.rights.papers.paper_facts import PaperFacts

SOURCES: Final = (
    Source(
        "http://derriennic.com/la-cnil-adopte-un-reglement-type-sur-lauthentification-biometrique/",
        date(2026, 11, 30),
        "CNIL, model regulation 2019-001: context, necessity, choice of the characteristic and of the kind of storage",
    ),
    Source(
        "https://www.legifrance.gouv.fr/affichTexte.do?cidTexte=JORFTEXT000033156742",
        date(2026, 11, 30),
        "CNIL, AU-052 (2016): the template under the control of the person, which types 1 and 2 follow",
    ),
)
NOT_CHECKED: Final = ("The numbers of the articles of the model regulation.",)


def necessity_paper(facts: PaperFacts) -> Draft:
    """Return the four answers of one zone, and how its other way in compares."""
    words, zone = facts.words("paper_necessity"), facts.record.zone
    kind = zone.custody.value
    types = () if zone.custody is Custody.BADGE else (facts.row("justification", zone.justification),)
    answers = (
        Section(words.text("heading context"), rows=(facts.zone(ZoneFact.CONTEXT), facts.zone(ZoneFact.AFFECTED))),
        Section(words.text("heading badge"), rows=(facts.zone(ZoneFact.WHY_NOT_BADGE),)),
        Section(words.text("heading face"), rows=(facts.zone(ZoneFact.WHY_FACE),)),
        Section(
            words.text("heading type"),
            text=(words.text(f"type {kind}"),),
            rows=(facts.row("custody", facts.custody), facts.row("comparison", facts.comparison), *types),
        ),
    )
    choice = Section(
        words.text("heading choice"),
        text=(words.text("choice_text"),),
        rows=(
            facts.row("alternative", zone.alternative),
            *map(facts.zone, (ZoneFact.ALTERNATIVE_COST, ZoneFact.ALTERNATIVE_TIME, ZoneFact.ALTERNATIVE_PLACE)),
            *map(facts.zone, (ZoneFact.FACE_WAIT_S, ZoneFact.ALTERNATIVE_WAIT_S)),
            facts.zone(ZoneFact.HUMAN_WAY),
        ),
    )
    doors = Section(words.text("heading doors"), rows=(Row(words.text("doors"), " ".join(facts.doors())),))
    return Draft(words.text("title"), (*answers, choice, doors), SOURCES, NOT_CHECKED)
