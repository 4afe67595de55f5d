"""Facts for the notice of a breach (GDPR 33(3)): counts, keys, what a thief of which file opens, the 72-hour clock.

What a thief opens is stated in docs/threat-model.md, whose tests show it; a test holds both against each other.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from volens.consent import Custody
from volens.consent.declarations import SiteFact
from volens.consent.law import Source
from volens.erase.pages import PageLanguage, PageWords
from volens.rights.papers.breach_facts import BreachFacts
from volens.rights.papers.paper import Answer, Draft, Gap, Grid, Row, Section

SOURCES: Final = (
    Source(
        "http://source.commonaccord.org/index.php?action=s&file=G/EU-GDPR-Law-CmA/Sec/Article/33.md",
        date(2026, 11, 30),
        "GDPR 33(1) and 33(3): 72 hours, and what a notice has; a copy of the article, not the Official Journal",
    ),
    Source(
        "docs/threat-model.md of this version of Volens", date(2026, 11, 30), "what each thief gets, with its tests"
    ),
)
NOT_CHECKED: Final = (
    "Whether anything was taken, what, and by whom.",
    "Periods and forms of other laws than the GDPR; a proposal to change its 72 hours was not followed.",
)
THIEVES: Final = ("data", "keyring", "two_files", "root_key", "backup", "server", "full_backup", "carried")
"""Who took what; of each: `took NAME` and `opens NAME`."""
_FACES: Final = {"server": "at_most", "full_backup": "at_its_time", "carried": "one"}
"""The words for how many faces a thief opens; other thieves open none."""


def breach_paper(facts: BreachFacts, language: PageLanguage) -> Draft:
    """Return the facts of one time."""
    words = PageWords("paper_breach", language)
    return Draft(words.text("title"), tuple(_sections(facts, words)), SOURCES, NOT_CHECKED)


def subject_line(facts: BreachFacts, language: PageLanguage) -> str:
    """Return the line under the title: the time."""
    words = PageWords("paper_breach", language)
    return words.text("time", begun=_moment(facts.begun_at, words), ended=_moment(facts.ended_at, words))


def _sections(facts: BreachFacts, words: PageWords) -> Iterator[Section]:
    def ask(name: str) -> Row:
        return Row(words.text(f"ask {name}"), Gap(words.text(f"question {name}"), None))

    yield Section(words.text("heading clock"), rows=_clock(facts, words))
    yield Section(words.text("heading nature"), rows=(ask("nature"), ask("taken")))
    yield Section(
        words.text("heading people"),
        text=(words.text("people_text", people=facts.people, consents=sum(facts.consents.values())),),
        grid=Grid(
            tuple(words.text(f"column {one}") for one in ("zone", "custody", "law", "consents")),
            tuple(
                (group.zone, group.custody.value, group.jurisdiction, str(count))
                for group, count in sorted(facts.consents.items(), key=lambda one: (one[0].zone, one[0].jurisdiction))
            ),
        ),
    )
    yield Section(
        words.text("heading thief"),
        text=(words.text("thief_text"),),
        grid=Grid(
            tuple(words.text(f"column {one}") for one in ("took", "opens", "faces")),
            tuple(
                (words.text(f"took {one}"), words.text(f"opens {one}"), _faces(facts, one, words)) for one in THIEVES
            ),
        ),
    )
    yield Section(words.text("heading keys"), rows=tuple(_keys(facts, words)))
    events = tuple((kind, str(count)) for kind, count in facts.events.items())
    yield Section(
        words.text("heading log"),
        text=() if events else (words.text("no_events"),),
        grid=Grid((words.text("column event"), words.text("column count")), events) if events else None,
        in_english=bool(events),
    )
    contacts = (SiteFact.DPO, SiteFact.INCIDENT_CONTACT)
    yield Section(words.text("heading contact"), rows=tuple(_declared(facts, one, words) for one in contacts))
    yield Section(words.text("heading next"), rows=(ask("consequences"), ask("measures"), ask("told")))


def _clock(facts: BreachFacts, words: PageWords) -> tuple[Row, ...]:
    if facts.learnt_at is None or facts.due_at is None:
        gap = Gap(words.text("question learnt"), "volens breach --learnt-at TIME")
        return (Row(words.text("fact learnt"), gap),)
    left = int((facts.due_at - facts.now).total_seconds() // 3600)
    state = words.text("hours_left", hours=left) if facts.due_at >= facts.now else words.text("overdue", hours=-left)
    return (
        Row(words.text("fact learnt"), _moment(facts.learnt_at, words)),
        Row(words.text("fact due"), f"{_moment(facts.due_at, words)}. {state}"),
    )


def _faces(facts: BreachFacts, thief: str, words: PageWords) -> str:
    """Return how many references that thief could open, of the consents that were in force in that time."""
    return words.text(_FACES.get(thief, "none_opened"), count=facts.held_by(Custody.OPERATOR))


def _keys(facts: BreachFacts, words: PageWords) -> Iterator[Row]:
    keys = facts.keys
    made = {"store": keys.store_key_at, "root": keys.root_key_at, "signing": keys.signing_key_at}
    numbers = {"store": f"{keys.epoch}, ", "root": "", "signing": f"{keys.signing_key}, "}
    for name, at in made.items():
        later = at > facts.ended_at
        state = words.text("replaced" if later else "in_use", at=_moment(at, words))
        yield Row(words.text(f"fact {name}"), f"{numbers[name]}{state}")
    yield Row(words.text("fact holder"), keys.root_key or words.text("no_holder"))


def _declared(facts: BreachFacts, fact: SiteFact, words: PageWords) -> Row:
    shared, questions = PageWords("paper", words.language), PageWords("declarations", words.language)
    command = f"volens declare site {fact.value.replace('_', '-')} TEXT"
    found: Answer = facts.site_facts.get(fact.value) or Gap(questions.text(fact.value), command)
    return Row(shared.text(f"label {fact.value}"), found)


def _moment(moment: datetime, words: PageWords) -> str:
    return " ".join(filter(None, words.moment(moment)))
