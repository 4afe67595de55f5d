"""Drafts a layered notice in Markdown: first one screen of plain language, then everything (GDPR 12(1)).

The text is made from the processing record, so it fits the zone. A fact that no one declared is a marked gap with its
question, and a text with a gap is never published.
"""

from collections.abc import Sequence
from typing import Final

from volens.consent.notice_statements import Questions, Statement, statements_of
from volens.consent.notice_words import NoticeWords
from volens.consent.processing_record import ProcessingRecord

FIRST_LAYER: Final = (
    *("controller", "contact", "purpose", "alternative", "withdrawal", "retention", "recipients", "human_way"),
)
_SECTIONS: Final = (
    ("controller", "contact", "address", "representative", "dpo"),
    ("purpose",),
    ("data", "storage_place"),
    ("custody",),
    ("trigger", "second_factor", "liveness"),
    ("alternative",),
    ("withdrawal", "lease"),
    ("retention",),
    ("match_history",),
    ("recipients", "transfers"),
    ("automated", "human_way"),
    ("rights",),
    ("authority",),
    ("basis",),
)
"""Statements of the full notice; those of one line are read together."""


def draft_notice(records: Sequence[ProcessingRecord], language: str, questions: Questions) -> str:
    """Return the Markdown of a notice for people of some jurisdictions.

    Args:
        records: of the same zone, one for each jurisdiction; at least one.
        language: a BCP 47 tag; there are words in English, French and German.
        questions: returns the question of a fact that no one declared.

    Raises:
        InputError: there are no words in this language.
    """
    words = NoticeWords(language)
    statements = statements_of(records, words, questions)
    zone = records[0].zone
    blocks = [f"# {words('title', zone=zone.title or zone.purpose)}", f"## {words('short')}"]
    blocks += [one.paragraph for one in statements if one.name in FIRST_LAYER]
    blocks += ["---", f"## {words('full')}"]
    for names in _SECTIONS:
        found = [one for name in names for one in statements if one.name == name]
        blocks += [f"{anchor(one)}\n{one.paragraph}" for one in found]
    return "\n\n".join(blocks) + "\n"


def gaps_of(records: Sequence[ProcessingRecord], language: str, questions: Questions) -> list[Statement]:
    """Return the statements of a draft that lack a declaration."""
    found = statements_of(records, NoticeWords(language), questions)
    return [one for one in found if one.missing is not None]


def anchor(statement: Statement) -> str:
    """Return the comment by which a statement is found if its paragraph is written in other words."""
    return f"<!-- volens:{statement.name}{f' {statement.value}' if statement.value else ''} -->"
