"""Checks the text of a notice against the processing record: gaps, contradictions, language, promises of a reward.

A program can find a fact, a sentence or an anchor, not a meaning. So a draft, a changed draft and a text in its own
words with anchors are checked by the same statements (`volens.consent.notice_statements`).

Not checked: whether a paragraph in the notice's own words is true; periods in words, weeks, months or years; languages
other than English, French and German beyond names, numbers and anchors. No legal advice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, final

from volens.consent.declarations import SiteFact
from volens.consent.errors import RefusedError
from volens.consent.notice import Notice, parse_language
from volens.consent.notice_reading import (
    HARD_LIX,
    anchored,
    days_in,
    language_in,
    lix,
    promised,
    without_anchors,
)
from volens.consent.notice_statements import GAP, Fact, Statement, statements_of
from volens.consent.notice_words import NoticeWords, example_names, words_of
from volens.consent.processing_record import ProcessingRecord
from volens.consent.typed_text import comparison_key

MAX_EXAMPLES: Final = 3
_OWN_WORDS: Final = 3
"""An anchored paragraph has at least so many words."""


class NoticeProblemKind(StrEnum):
    """What is wrong with a notice."""

    GAP = "gap"
    """A fact is not declared, or a mark of a gap was left in."""
    MISSING = "missing"
    """The text does not say what it must."""
    CONTRADICTION = "contradiction"
    """The text says something else than the zone does."""
    LANGUAGE = "language"
    EXAMPLE = "example"
    """The name of an example was left in."""
    REWARD = "reward"
    """A reward for saying yes, or a worse way for people who say no."""
    WARNING = "warning"
    """To look at; the notice can be published."""


@final
@dataclass(frozen=True, slots=True)
class NoticeProblem:
    """One problem.

    Attributes:
        statement: the name of its anchor; empty if it is about the whole text.
        article: the rule that it breaks.
        found: what is wrong.
        next_step: what to do.
    """

    kind: NoticeProblemKind
    statement: str
    article: str
    found: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.found} ({self.article}); {self.next_step}"


@final
@dataclass(frozen=True, slots=True)
class NoticeReport:
    """What a check found: problems forbid to publish, warnings do not.

    Attributes:
        lix: the readability of the text.
    """

    problems: tuple[NoticeProblem, ...]
    warnings: tuple[NoticeProblem, ...]
    lix: float

    def refuse(self, zone: str) -> None:
        """Refuse a notice with problems.

        Raises:
            RefusedError: it has some; the message names all of them.
        """
        if self.problems:
            listed = " ".join(f"[{number}] {one}." for number, one in enumerate(self.problems, 1))
            raise RefusedError(
                f"this text cannot be the notice of zone {zone!r}, nothing was published; 'volens notice draft' writes "
                f"one that fits; to change in this one: {listed}"
            )


@final
@dataclass(frozen=True, slots=True)
class _ReadNotice:
    """A text with what is looked for in it: its comparison key, and its numbers of days."""

    text: str
    key: str
    days: frozenset[int]

    def has(self, words: str) -> bool:
        return _key(words) in self.key


def check_notice(text: str, language: str, records: Sequence[ProcessingRecord]) -> NoticeReport:
    """Return what is wrong with the text of a notice for one zone.

    Args:
        text: Markdown.
        language: a BCP 47 tag.
        records: of the same zone, one for each jurisdiction whose people are asked; at least one.

    Raises:
        InputError: the language is not a tag.
    """
    words = words_of(language)
    statements = statements_of(records, words, _no_question)
    read = _read(text, words)
    found = [
        *_gaps_left(text),
        *(one for statement in statements for one in _of_statement(read, statement)),
        *_days(text, records, statements, words),
        *_language(text, language, words),
        *_examples(read, records),
        *_promises(text, words, records),
    ]
    measured = lix(text)
    return NoticeReport(tuple(dict.fromkeys(found)), tuple(_warnings(records[0], measured)), measured)


def unfit_statements(notice: Notice, record: ProcessingRecord) -> frozenset[str]:
    """Return the names of the statements with which a published notice no longer fits its zone."""
    words = words_of(notice.language)
    read = _read(notice.text, words)
    statements = statements_of([record], words, _no_question)
    return frozenset(one.name for one in statements if any(_of_statement(read, one)))


def _read(text: str, words: NoticeWords | None) -> _ReadNotice:
    return _ReadNotice(text, comparison_key(without_anchors(text)), days_in(text, any_number=words is None))


def _of_statement(read: _ReadNotice, statement: Statement) -> Iterator[NoticeProblem]:
    name, article = statement.name, statement.article
    blocks = anchored(read.text, name)
    if statement.missing is not None:
        yield NoticeProblem(
            *(NoticeProblemKind.GAP, name, article, f"it is not declared {statement.what}"), _declare(statement.missing)
        )
        return
    for value, _block in blocks:
        if value and statement.value and value not in {statement.value, *statement.also}:
            expected = f"<!-- volens:{name} {statement.value} -->"
            yield NoticeProblem(
                *(NoticeProblemKind.CONTRADICTION, name, article),
                f"the anchor of {name} says {value[:40]!r}, and the zone has {statement.value!r}",
                f"rewrite that paragraph, and write {expected} before it",
            )
            return
    denied = next((one for one in statement.denied if one and read.has(one)), None)
    if denied is not None:
        yield NoticeProblem(
            *(NoticeProblemKind.CONTRADICTION, name, article),
            f'the text says "{denied}", which is not so in this zone',
            f"say {statement.what}",
        )
    elif statement.required and not _says(read, statement, [block for _value, block in blocks]):
        yield NoticeProblem(
            *(NoticeProblemKind.MISSING, name, article), f"the text does not say {statement.what}", _add(statement)
        )


def _says(read: _ReadNotice, statement: Statement, blocks: Sequence[str]) -> bool:
    if statement.own_words and any(len(block.split()) >= _OWN_WORDS for block in blocks):
        return True
    if not statement.texts and not statement.days:
        return bool(statement.paragraph) and read.has(statement.paragraph)
    return statement.days <= read.days and all(any(map(read.has, group)) for group in statement.texts)


def _add(statement: Statement) -> str:
    value = f" {statement.value}" if statement.value else ""
    facts = [f'"{group[0]}"' for group in statement.texts if not statement.own_words]
    facts += [f"{one} days" for one in sorted(statement.days)]
    if facts:
        return f"add it, with {' and '.join(facts)}"
    return f"add it, with the anchor <!-- volens:{statement.name}{value} --> before a paragraph in your own words"


def _declare(fact: Fact) -> str:
    name = fact.value.replace("_", "-")
    if isinstance(fact, SiteFact):
        return f"declare it with 'volens declare site {name} \"...\"', and write it into the notice"
    return f"declare it with 'volens declare zone ZONE {name} \"...\"', and write it into the notice"


def _gaps_left(text: str) -> Iterator[NoticeProblem]:
    left = text.casefold().count(GAP.strip().casefold())
    if left:
        yield NoticeProblem(
            *(NoticeProblemKind.GAP, "", "GDPR 12(1)", f"{left} marks of a gap are left, which begin with {GAP!r}"),
            "answer each question with 'volens declare', and draft the notice again",
        )


def _days(
    text: str, records: Sequence[ProcessingRecord], statements: Sequence[Statement], words: NoticeWords | None
) -> Iterator[NoticeProblem]:
    if words is None:
        return
    known = days_in(" ".join(_all_facts(records)) + " ".join(one.paragraph for one in statements))
    known |= {days for one in records for days in one.to_json()["periods_days"].values()}
    known |= {records[0].zone.retention_days, records[0].zone.match_history_days}
    wrong = sorted(days_in(without_anchors(text)) - known)
    if wrong:
        got = ", ".join(map(str, wrong[:MAX_EXAMPLES]))
        term = min(one.max_term_days for one in records)
        kept = records[0].zone.match_history_days
        yield NoticeProblem(
            *(NoticeProblemKind.CONTRADICTION, "retention", "GDPR 13(2)(a)"),
            f"the text says {got} days, which is no period of this zone",
            f"correct it: a consent ends after {term} days at the latest, and visits are noted for {kept} days",
        )


def _language(text: str, language: str, words: NoticeWords | None) -> Iterator[NoticeProblem]:
    found = language_in(text)
    if words is not None and found is not None and found != words.language:
        yield NoticeProblem(
            *(NoticeProblemKind.LANGUAGE, "", "GDPR 12(1)"),
            f"the text is for the language {parse_language(language)!r}, and its words are those of {found!r}",
            f"translate it, or publish it with --language {found}",
        )


def _examples(read: _ReadNotice, records: Sequence[ProcessingRecord]) -> Iterator[NoticeProblem]:
    own = comparison_key(" ".join(_all_facts(records)))
    left = [one for one in example_names() if read.has(one) and _key(one) not in own]
    if left:
        yield NoticeProblem(
            *(NoticeProblemKind.EXAMPLE, "", "GDPR 13(1)(a)"),
            f"the text has {', '.join(repr(one) for one in left[:MAX_EXAMPLES])}, the name of an example",
            "write the name and the contact of the controller instead",
        )


def _promises(text: str, words: NoticeWords | None, records: Sequence[ProcessingRecord]) -> Iterator[NoticeProblem]:
    if words is None:
        return
    # The name of a controller may have such a word, and is no promise.
    text = text.replace(records[0].controller.name, "")
    negations = words.terms("negation")
    reward = promised(text, words.terms("reward"), negations)
    if reward is not None:
        yield NoticeProblem(
            *(NoticeProblemKind.REWARD, "", "GDPR 7(4)"),
            f"the text promises something for saying yes ({reward!r})",
            "remove it: consent that is rewarded is not free",
        )
    worse = promised(text, words.terms("worse"), negations)
    if worse is not None:
        yield NoticeProblem(
            *(NoticeProblemKind.REWARD, "alternative", "GDPR 7(4)"),
            f"the text promises a worse way to people who say no ({worse!r})",
            "offer them a way without a disadvantage, and say so",
        )


def _warnings(record: ProcessingRecord, measured: float) -> Iterator[NoticeProblem]:
    if SiteFact.DPO not in record.site_facts:
        yield NoticeProblem(
            *(NoticeProblemKind.WARNING, "dpo", "GDPR 13(1)(b)", "no data protection officer is declared"),
            "if there is one, use 'volens declare site dpo \"...\"', and draft the notice again",
        )
    if measured > HARD_LIX:
        yield NoticeProblem(
            *(NoticeProblemKind.WARNING, "", "GDPR 12(1)"),
            f"the text is hard to read: LIX {measured:.0f}, expected at most {HARD_LIX}",
            "use shorter sentences and words",
        )


def _all_facts(records: Sequence[ProcessingRecord]) -> Iterator[str]:
    first = records[0]
    yield from (first.controller.name, first.controller.contact, first.zone.alternative, first.zone.justification)
    yield from (first.zone.title, *first.site_facts.values(), *first.zone_facts.values())
    for one in first.recipients:
        yield from (one.name, one.contact)


@lru_cache(maxsize=1024)
def _key(words: str) -> str:
    """Return the comparison key of a sentence or a name, which is looked for in many notices."""
    return comparison_key(words)


def _no_question(fact: Fact) -> str:
    return fact.value
