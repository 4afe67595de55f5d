"""Reads the text of a notice: anchored paragraphs, numbers of days, its language, and how hard it is to read.

Stated measures, which a person can repeat: the language is the one of English, French and German whose function words
are most frequent; readability is LIX (Björnsson 1968), words per sentence plus the percentage of words with more than
six letters.
"""

import re
from collections.abc import Sequence
from typing import Final

from volens.consent.law import LANGUAGES
from volens.consent.notice_words import NoticeWords
from volens.consent.typed_text import comparison_key

HARD_LIX: Final = 50
"""Above 50 a text counts as hard, above 60 as very hard; drafts have 20 to 35."""
FEWEST_FUNCTION_WORDS: Final = 8
"""With fewer, the language of a text is not judged."""
_LONG_WORD: Final = 6
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_ANCHOR: Final = re.compile(r"<!--\s*volens:([a-z_]+)(?:\s+([a-z0-9_]+))?\s*-->")
_BLOCK_END: Final = re.compile(r"\n\s*\n(?![-*>] )|<!--|\n#")
_DAYS: Final = re.compile(
    r"(?<![\d.,])(\d{1,3}(?:[., \u00a0\u202f]\d{3})+|\d+)[\s\u00a0\u202f]*(?:days?|jours?|tage?n?)\b"
)
_NUMBER: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"[^\W\d_]+")
_SENTENCE_END: Final = re.compile(r"[.!?:](?=\s|$)|\n\s*\n|\n(?=[-*] )")
_SAY_NO: Final = re.compile(r"\bsay(?:s|ing)? no\b")
_MARKUP: Final = re.compile(r"[*_`#>|]+|https?://\S+")


def without_anchors(text: str) -> str:
    """Return the text as a person reads it: without comments, of which anchors are a kind."""
    lines = [line for line in text.split("\n") if not line.strip() or _COMMENT.sub("", line).strip()]
    return _COMMENT.sub("", "\n".join(lines))


def anchored(text: str, name: str) -> list[tuple[str, str]]:
    """Return the paragraphs behind the anchors of a statement, each with the value that the anchor names.

    A paragraph ends at an empty line, unless a list or a quotation follows, at the next comment, or at a heading.
    """
    found: list[tuple[str, str]] = []
    for match in _ANCHOR.finditer(text):
        if match[1] == name:
            rest = text[match.end() :].lstrip()
            end = _BLOCK_END.search(rest)
            found.append((match[2] or "", rest[: end.start()] if end else rest))
    return found


def days_in(text: str, *, any_number: bool = False) -> frozenset[int]:
    """Return the numbers of days that a text names in digits; with `any_number`, all its whole numbers."""
    if any_number:
        return frozenset(int(one) for one in _NUMBER.findall(text))
    return frozenset(int(re.sub(r"\D", "", one)) for one in _DAYS.findall(text.casefold()))


def language_in(text: str) -> str | None:
    """Return the language that a text is written in, of English, French and German; None if it cannot be told."""
    words = _WORD.findall(comparison_key(without_anchors(text)))
    counts = {
        language: sum(word in known for word in words)
        for language in LANGUAGES
        for known in [frozenset(NoticeWords(language).terms("function_words"))]
    }
    best = max(counts, key=lambda one: counts[one])
    return best if counts[best] >= FEWEST_FUNCTION_WORDS else None


def lix(text: str) -> float:
    """Return the readability of a text (LIX): up to 40 is easy, above 50 hard; 0 for a text without words."""
    plain = _MARKUP.sub(" ", without_anchors(text))
    sentences = [one for one in _SENTENCE_END.split(plain) if _WORD.search(one)]
    words = _WORD.findall(plain)
    if not words:
        return 0.0
    return len(words) / len(sentences) + 100 * sum(len(word) > _LONG_WORD for word in words) / len(words)


def promised(text: str, terms: Sequence[str], negations: Sequence[str]) -> str | None:
    """Return the first of some words that a sentence has which does not deny it; None if there is none."""
    keys = [comparison_key(term) for term in terms]
    found = re.compile("|".join(rf"\b{re.escape(key)}" for key in keys))
    for sentence in _SENTENCE_END.split(_MARKUP.sub(" ", without_anchors(text))):
        key = _SAY_NO.sub("refuse", comparison_key(sentence))
        if not any(word in negations for word in _WORD.findall(key)):
            match = found.search(key)
            if match is not None:
                return terms[keys.index(match[0])]
    return None
