"""What a notice must say about a zone: one list of statements, from which notices are drafted and checked.

Each statement has its article, the paragraph that a draft says it with, and how it is found in another text: by facts
(names, addresses, numbers of days), or by an anchor, which is a comment such as ``<!-- volens:custody operator -->``
before a paragraph in the notice's own words.

Source: GDPR 13(1) and the beginning of 13(2), read on 30 November 2026 at gdprhub.eu. Not checked at a
source: the numbers of the other articles (7, 12, 14, 22, the end of 13(2)). No legal advice.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeAlias, final

from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.notice import PASSING_SENTENCES
from volens.consent.notice_words import NoticeWords
from volens.consent.processing_record import ProcessingRecord
from volens.consent.receipt_offer import consent_words
from volens.consent.zone import AfterLease, SecondFactor, Trigger

Fact: TypeAlias = SiteFact | ZoneFact
Questions: TypeAlias = Callable[[Fact], str]
"""Returns the question to which a declaration is the answer, in the language of the notice."""

GAP: Final = "[GAP: "
"""Begins the mark of a fact that no one declared. A text that has it is never published."""
NONE: Final = "none"
_CONTACT: Final = re.compile(r"[^\s,;<>()]+@[^\s,;<>()]+|https?://[^\s,;<>()]+|\+?\d[\d ()/-]{5,}\d")


@final
@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that a notice must say.

    Attributes:
        name: of the anchor.
        article: the rule from which it follows.
        what: it says, for a person who must add it.
        paragraph: that a draft says it with; with the mark of a gap if a declaration is missing.
        value: of a choice, which the anchor repeats, such as ``operator``; empty if it is no choice.
        texts: groups of facts; of each group, one must be in the notice.
        days: numbers of days that must be in it.
        denied: sentences and words that say the opposite.
        also: other values that an anchor may name, because a notice may announce a change.
        own_words: whether an anchored paragraph is enough that has none of the facts.
        required: whether it must be there; if not, it is only held against what the notice says.
        missing: the fact that no one declared.
    """

    name: str
    article: str
    what: str
    paragraph: str
    value: str = ""
    texts: tuple[tuple[str, ...], ...] = ()
    days: frozenset[int] = frozenset()
    denied: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    own_words: bool = True
    required: bool = True
    missing: Fact | None = None


def statements_of(
    records: Sequence[ProcessingRecord], words: NoticeWords | None, questions: Questions
) -> list[Statement]:
    """Return what the notice of one zone must say to the people of some jurisdictions, in the order of a draft.

    Args:
        records: of the same zone, one for each jurisdiction; at least one.
        words: of the language of the notice; without them a statement is found by facts and anchors only.
        questions: for the marks of gaps.
    """
    return list(_Statements(records, words, questions).all())


@final
class _Statements:
    """Composes the statements of one notice."""

    def __init__(self, records: Sequence[ProcessingRecord], words: NoticeWords | None, questions: Questions) -> None:
        self._records = records
        self._record = records[0]
        self._words = words
        self._questions = questions

    def all(self) -> Iterator[Statement]:
        """Yield all statements."""
        yield from self._controller()
        yield from self._processing()
        yield from self._choice_of_people()
        yield from self._periods()
        yield from self._others()
        yield from self._decisions_and_rights()

    def _controller(self) -> Iterator[Statement]:
        controller, facts = self._record.controller, self._record.site_facts
        article = "GDPR 13(1)(a)"
        name = self._say("controller", controller=controller.name)
        yield Statement(
            *("controller", article, "who runs the doors", name), texts=((controller.name,),), own_words=False
        )
        contact = self._say("contact", contact=controller.contact)
        yield Statement(
            *("contact", article, "how the controller is reached", contact),
            texts=((controller.contact,),),
            own_words=False,
        )
        for fact, rule in ((SiteFact.ADDRESS, article), (SiteFact.REPRESENTATIVE, article)):
            if fact in facts:
                text = self._say(fact.value, **{fact.value: _bare(facts[fact])})
                yield Statement(fact.value, rule, fact.value, text, texts=((facts[fact],),), required=False)
        if SiteFact.DPO in facts:
            reached = tuple(_CONTACT.findall(facts[SiteFact.DPO])) or (facts[SiteFact.DPO],)
            text = self._say("dpo", dpo=_bare(facts[SiteFact.DPO]))
            what = "who the data protection officer is, and how the officer is reached"
            yield Statement("dpo", "GDPR 13(1)(b)", what, text, texts=(reached,), own_words=False)

    def _processing(self) -> Iterator[Statement]:
        zone, zone_facts = self._record.zone, self._record.zone_facts
        purpose = self._say("purpose")
        if ZoneFact.AFFECTED in zone_facts:
            purpose += " " + self._say("affected", affected=_bare(zone_facts[ZoneFact.AFFECTED]))
        if zone.justification:
            purpose += " " + self._say("justification", justification=_bare(zone.justification))
        yield Statement("purpose", "GDPR 13(1)(c)", "what the face is used for", purpose)
        yield Statement("data", "GDPR 13(1)(c), 5(1)(a)", "what is stored of a person", self._say("data"))
        yield self._choice("custody", zone.custody, "GDPR 5(1)(a)", "who holds the key to the numbers of a face")
        yield self._trigger()
        yield self._choice("liveness", zone.liveness, "GDPR 5(1)(a), 12(1)", "what is done against photos")
        if zone.second_factor is not SecondFactor.NONE:
            factor = zone.second_factor
            yield self._choice("second_factor", factor, "GDPR 5(1)(a), 12(1)", "what is asked for besides the face")

    def _choice_of_people(self) -> Iterator[Statement]:
        zone, facts = self._record.zone, self._record.zone_facts
        text = self._say("alternative", alternative=_bare(zone.alternative))
        for fact in (ZoneFact.ALTERNATIVE_COST, ZoneFact.ALTERNATIVE_TIME, ZoneFact.ALTERNATIVE_PLACE):
            if fact in facts:
                text += " " + self._say(fact.value, **{fact.value: _bare(facts[fact])})
        what = "the way in for people who say no"
        yield Statement("alternative", "GDPR 7(4)", what, text, texts=((_bare(zone.alternative),),))
        found = (self._terms("found withdrawal"),) if self._words else ()
        seconds = zone.lease_seconds
        withdrawal, what = (
            self._say("withdrawal leased" if seconds else "withdrawal"),
            "that a person may withdraw at any time, and how",
        )
        yield Statement("withdrawal", "GDPR 13(2)(c), 7(3)", what, withdrawal, texts=found)
        lease = self._say("lease bounded", seconds=seconds) if seconds else self._say("lease none")
        if zone.after_lease is AfterLease.BADGE:
            lease += " " + self._say("lease then badge")
        yield Statement(
            *("lease", "GDPR 13(2)(c), 5(1)(a)", "how soon a withdrawal counts at every door", lease),
            value=str(seconds),
            texts=((str(seconds),),) if seconds else (),
            denied=(self._say("lease none"),) if seconds else (),
            required=seconds > 0,
        )

    def _periods(self) -> Iterator[Statement]:
        article, zone = "GDPR 13(2)(a)", self._record.zone
        terms = {one.max_term_days for one in self._records}
        shortest = min(terms)
        text = self._say("retention", days=shortest)
        inactive = min(one.inactive_after_days for one in self._records)
        if inactive < shortest:
            text += " " + self._say("inactive", days=inactive)
        text += " " + self._say("evidence", days=min(one.profile.clocks.evidence_days for one in self._records))
        what = "after how many days a consent ends"
        yield Statement("retention", article, what, text, days=frozenset({shortest}), own_words=False)
        kept = zone.match_history_days
        notes = self._say("match_history kept", days=kept) if kept else self._say("match_history none")
        yield Statement(
            *("match_history", article, "how long visits are noted", notes),
            value="" if kept else "0",
            days=frozenset({kept} if kept else ()),
            denied=(self._say("match_history none"),) if kept else (),
            own_words=not kept,
        )

    def _others(self) -> Iterator[Statement]:
        names = [one.name for one in self._record.recipients]
        article, what = "GDPR 13(1)(e)", "who else receives the data"
        if names:
            text = self._say("recipients named", recipients=", ".join(map(_bare, names)))
            denied = self._terms("no_recipients")
            each = tuple((name,) for name in names)
            yield Statement("recipients", article, what, text, texts=each, denied=denied, own_words=False)
        else:
            text = self._say("recipients none")
            found = (self._terms("no_recipients"),) if self._words else ()
            yield Statement("recipients", article, what, text, value=NONE, texts=found)
        declared, article = self._record.transfers, "GDPR 13(1)(f)"
        what = "to which other countries data goes"
        if declared is None:
            gap = self._gap(SiteFact.TRANSFERS)
            yield Statement("transfers", article, what, gap, missing=SiteFact.TRANSFERS)
        elif declared.casefold() == NONE:
            yield Statement("transfers", article, what, self._say("transfers none"), value=NONE)
        else:
            text, denied = self._say("transfers declared", transfers=_bare(declared)), (self._say("transfers none"),)
            yield Statement("transfers", article, what, text, value="declared", texts=((declared,),), denied=denied)
        place = self._record.site_facts.get(SiteFact.STORAGE_PLACE)
        if place is not None:
            text = self._say("storage_place", storage_place=_bare(place))
            yield Statement("storage_place", "GDPR 5(1)(a)", "where data is stored", text, required=False)

    def _decisions_and_rights(self) -> Iterator[Statement]:
        article, what = "GDPR 13(2)(f), 22", "that a program decides, by what rule, and what its mistakes mean"
        yield Statement("automated", article, what, self._say("automated"))
        human, what = self._record.zone_facts.get(ZoneFact.HUMAN_WAY), "which person helps if the door does not open"
        if human is None:
            gap = self._gap(ZoneFact.HUMAN_WAY)
            yield Statement("human_way", "GDPR 22(3)", what, gap, missing=ZoneFact.HUMAN_WAY)
        else:
            text = self._say("human_way", human_way=_bare(human))
            yield Statement("human_way", "GDPR 22(3)", what, text, texts=((_bare(human),),))
        yield self._rights()
        for record in self._records:
            yield self._basis(record)
            yield self._authority(record)

    def _rights(self) -> Statement:
        rights = list(dict.fromkeys(right for one in self._records for right in one.profile.rights))
        lines = [f"- {self._say(f'right {right}')}" for right in rights]
        text = "\n".join([self._say("rights"), "", *lines])
        found = tuple(self._terms(f"found {right}") for right in rights) if self._words else ()
        names = ", ".join(rights)
        return Statement("rights", "GDPR 13(2)(b)", f"the rights of a person: {names}", text, texts=found)

    def _basis(self, record: ProcessingRecord) -> Statement:
        profile, language = record.profile, self._words.language if self._words else "en"
        signed = consent_words(record, language, timedelta(days=record.max_term_days))
        intro = self._say("basis", jurisdiction=profile.names[language], law=profile.law)
        what = f"the law and its basis for people of {record.jurisdiction}: {profile.law}"
        return Statement("basis", "GDPR 13(1)(c)", what, f"{intro}\n\n> {signed}", texts=((profile.law, signed),))

    def _authority(self, record: ProcessingRecord) -> Statement:
        authority, language = record.profile.authority, self._words.language if self._words else "en"
        text = self._say("authority", authority=authority.name[language], url=authority.url)
        what = f"the authority for people of {record.jurisdiction}: {authority.url}"
        facts = ((authority.url, authority.url.rstrip("/"), authority.name[language]),)
        return Statement("authority", "GDPR 13(2)(d)", what, text, texts=facts, own_words=False)

    def _trigger(self) -> Statement:
        """Return when a face is compared. A notice may announce ``passing``, because it must say so before the change.

        That a zone identifies everyone who passes is said with a fixed sentence (`PASSING_SENTENCES`).
        """
        passing = tuple(PASSING_SENTENCES.values()) if self._words is None else (self._say("trigger passing"),)
        trigger = self._record.zone.trigger
        if trigger is Trigger.PASSING:
            said = f'that everyone who passes is compared, with the sentence "{passing[0]}"'
            chosen = self._choice("trigger", trigger, "GDPR 5(1)(a), 12(1)", said)
            return replace(chosen, texts=(passing,), own_words=False)
        chosen = self._choice("trigger", trigger, "GDPR 5(1)(a), 12(1)", "when the camera compares a face")
        own = (chosen.paragraph,) if chosen.paragraph else ()
        return replace(
            chosen,
            texts=((*own, *passing),),
            denied=tuple(one for one in chosen.denied if one not in passing),
            also=(Trigger.PASSING.value,),
        )

    def _choice(self, name: str, value: str, article: str, what: str) -> Statement:
        denied: tuple[str, ...] = ()
        if self._words:
            denied = tuple(text for other, text in self._words.variants(name).items() if other != value)
        text = self._say(f"{name} {value}")
        return Statement(name, article, f"{what} ({value})", text, value=str(value), denied=denied)

    def _say(self, key: str, **values: object) -> str:
        return self._words(key, **values) if self._words else ""

    def _terms(self, key: str) -> tuple[str, ...]:
        return self._words.terms(key) if self._words else ()

    def _gap(self, fact: Fact) -> str:
        return f"{GAP}{self._questions(fact)}]"


def _bare(text: str) -> str:
    """Return a declared text on one line and without its full stop, to be set into a sentence."""
    return " ".join(text.split()).rstrip(".")
