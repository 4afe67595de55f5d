"""The draft as a JSON file that the CNIL's PIA tool imports (https://github.com/LINCnil/pia).

The tool's file has five members: `pia`, `answers`, `measures`, `evaluations`, `comments`. An answer names its question
by `reference_to`; the numbers are those of the tool's `pia_architecture.json`. Gaps are answers that begin with the
words for "to be answered"; levels of risk (gauges) are left empty, because people set them.
"""

import html
import json
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import Right
from volens.rights.papers.paper import Gap, Row
from volens.rights.papers.paper_facts import PaperFacts

_PIA: Final = 1
"""The id of the one assessment in the file; the tool gives it a new one."""
_FIRST_RISK: Final = 32
"""Questions 321 to 326 are about illegitimate access, 331 to 336 about change, 341 to 346 about loss."""


_Answer: TypeAlias = tuple[int, str | None, list[str]]
"""The number of a question, its text if it has one, and its list."""


def cnil_pia(facts: PaperFacts, risks: Sequence[str]) -> bytes:
    """Return the file. The same facts give the same bytes, so it carries the day on which the zone was made."""
    since = facts.record.zone.created_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    texts: list[_Answer] = [(number, _html(facts, rows), []) for number, rows in _questions(facts)]
    lists = [answer for at, name in enumerate(risks, _FIRST_RISK) for answer in _risk(facts, at * 10, name)]
    stamp = {"pia_id": _PIA, "created_at": since}
    document = {
        "pia": {
            "id": _PIA,
            "status": 0,
            "is_example": 0,
            "is_archive": 0,
            "name": facts.zone_name,
            "category": "",
            "author_name": "",
            "evaluator_name": "",
            "validator_name": "",
            "dpos_names": facts.record.site_facts.get(SiteFact.DPO, ""),
            "created_at": since,
            "updated_at": since,
            "progress": 0,
            "structure_id": "",
        },
        "answers": [
            {**stamp, "id": at, "reference_to": number, "data": {"text": text, "gauge": None, "list": points}}
            for at, (number, text, points) in enumerate([*texts, *lists], 1)
        ],
        "measures": [
            {**stamp, "id": at, "title": title, "content": html.escape(text), "placeholder": ""}
            for at, (title, text) in enumerate(facts.measures(), 1)
        ],
        "evaluations": [],
        "comments": [],
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _risk(facts: PaperFacts, first: int, name: str) -> Iterator[_Answer]:
    words = facts.words("paper_dpia")
    for offset, column in enumerate(("impact", "threat", "source"), 1):
        yield first + offset, None, [words.text(f"{column} {name}")]
    yield first + 4, None, [title for title, _text in facts.measures()]


def _questions(facts: PaperFacts) -> Iterator[tuple[int, tuple[Row, ...]]]:
    """Yield the number of each question with text, and the facts that answer it."""
    record, shared, words = facts.record, facts.shared, facts.words("paper_dpia")
    processors = facts.row("processors", Gap(shared.text("question processors"), None))
    rights = dict(zip(record.profile.rights, facts.rights(), strict=True))

    def said(name: str) -> Row:
        return Row(words.text(f"fact {name}"), words.text(f"stated {name}"))

    def its(*wanted: Right) -> tuple[Row, ...]:
        return tuple(rights[one] for one in wanted if one in rights)

    yield 111, (facts.row("name", facts.zone_name), facts.row("purpose", facts.purpose), facts.zone(ZoneFact.CONTEXT))
    yield 112, (*facts.controller_rows(), processors)
    yield 113, (Row(words.text("fact law"), record.profile.law),)
    yield 121, (facts.row("data", facts.data), facts.zone(ZoneFact.AFFECTED), facts.row("recipients", facts.recipients))
    yield 122, tuple(map(said, facts.phases))
    yield 123, (facts.site(SiteFact.STORAGE_PLACE), facts.row("custody", facts.custody))
    yield 211, (facts.row("purpose", facts.purpose), said("secondary"))
    yield 212, (facts.row("basis", record.profile.lawful_basis),)
    yield 213, (facts.row("comparison", facts.comparison), facts.zone(ZoneFact.WHY_FACE))
    yield 214, (said("quality"),)
    yield 215, facts.period_rows()
    yield 221, (said("consent"),)
    yield 222, (said("consent"), facts.row("alternative", record.zone.alternative))
    yield 223, its(Right.ACCESS, Right.PORTABILITY)
    yield 224, its(Right.RECTIFICATION, Right.ERASURE)
    yield 225, its(Right.RESTRICTION, Right.OBJECTION)
    yield 226, (processors,)
    yield 227, (facts.site(SiteFact.TRANSFERS),)


def _html(facts: PaperFacts, rows: tuple[Row, ...]) -> str:
    gap = facts.shared.text("gap")
    said = (
        (row.label, f"[{gap}] {row.answer.question}" if isinstance(row.answer, Gap) else row.answer) for row in rows
    )
    return "".join(f"<p><strong>{html.escape(label)}</strong>: {html.escape(text)}</p>" for label, text in said)
