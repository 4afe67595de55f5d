"""Unicode normalisation of text that people type: names, external ids, labels, codes, zone names, notices.

Two people type one name with different code points: ``é`` is one character on Windows and two on a Mac, an apostrophe
may be straight or curved, a blank may be no-break. So there are two forms, and every typed text goes through them:

* the **stored form** (`parse_text`) is the text itself in Unicode NFC. It keeps case, accents, apostrophes, hyphens,
  middle dots, and the invisible joiners (ZWJ, ZWNJ) that Persian and Indic names are written with;
* the **comparison key** (`comparison_key`) is what two texts have in common that people take for the same. It answers
  "is this the same name?"; it is never shown.

Controls, direction overrides and unassigned code points are refused by `parse_text`: they are part of no name, and
change what other people read around it, or have no normal form yet.

Source: Unicode Standard 3.13 (NFKC_Casefold, caseless matching), UAX #15 (normalisation forms), RFC 8266 (PRECIS
profile for nicknames: case, width and kinds of spaces), UAX #9 (directional formatting).
"""

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from volens.consent.errors import InputError
from volens.consent.reason import Reason

_REFUSED_CATEGORIES: Final[Mapping[str, str]] = {
    "Cc": "CONTROL CHARACTER",
    "Cs": "HALF OF A SURROGATE PAIR, NO CHARACTER",
    "Cn": "NOT ASSIGNED TO A CHARACTER",
    "Zl": "LINE SEPARATOR",
    "Zp": "PARAGRAPH SEPARATOR",
}
_CONTROL_NAMES: Final[Mapping[str, str]] = {
    "\0": "NULL",
    "\a": "BELL",
    "\b": "BACKSPACE",
    "\t": "TAB",
    "\n": "LINE FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
}
"""Unicode gives controls no names, only aliases."""
_DIRECTION: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates (UAX #9): they reorder the text around them. The marks LRM, RLM and ALM do not."""
_GROWING: Final = (range(0x20000, 0x40000), range(0x1F000, 0x1FB00))
"""Ideographs and pictographs. Each version of Unicode adds some, of which an older Python does not know; people's names
are among them. They have no other normal form."""
_LAST_TWO: Final = 0xFFFE
"""The last two code points of a plane are noncharacters."""
_LINES: Final = frozenset("\t\n\r\u2028\u2029")

_APOSTROPHES: Final = "\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02bd\u2032\u00b4\u0060\u055a\u05f3\uff07\uff40"
_HYPHENS: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u058a\u05be\u30a0\ufe58\ufe63\uff0d"
_MIDDLE_DOTS: Final = "\u2022\u2027\u2219\u22c5\u30fb\uff65\u0387"
_ALIKE: Final = str.maketrans(
    dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(_HYPHENS, "-") | dict.fromkeys(_MIDDLE_DOTS, "\u00b7")
)
"""Characters that keyboards and word processors exchange for each other."""
_DOTLESS_I: Final = "\u0131"
_DOTTED_I: Final = "i\u0307"
_IGNORED: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"  # fillers and joiners that are not Cf
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))  # variation selectors
)


def parse_text(text: str, what: str, longest: int, *, lines: bool = False) -> str:
    """Return a typed text in its stored form: Unicode NFC, without white space around it.

    `what` names it in the error, such as "a name". The text has 1 to `longest` characters, and at least one that can be
    seen. With `lines` it may have line breaks and tabs.

    Raises:
        InputError: its length is wrong, or it has a control, a direction override or isolate, or an unassigned code
            point; the message names that character, and repeats nothing else of the text.

    Not checked: letters of several scripts that look alike (a Latin and a Cyrillic a).
    """
    stored = to_nfc(text.strip().strip("\ufeff").strip())
    check_characters(stored, what, lines=lines)
    if not 1 <= len(stored) <= longest or not comparison_key(stored):
        raise InputError(
            f"got {what} of {len(stored)} characters; expected 1 to {longest}, one of them visible",
            reason=Reason.TEXT_LENGTH,
        )
    return stored


def to_nfc(text: str) -> str:
    """Return a text in Unicode NFC, and otherwise as it is."""
    return unicodedata.normalize("NFC", text)


def check_characters(text: str, what: str, *, lines: bool = False) -> None:
    """Check that a text has no character that `parse_text` refuses.

    Raises:
        InputError: it has one; see `parse_text`.
    """
    for at, character in enumerate(text, start=1):
        if _is_refused(character) and not (lines and character in _LINES):
            raise InputError(
                f"got {what} with {_named(character)} at place {at}; type it again without that character",
                reason=Reason.TEXT_CHARACTER,
            )


def comparison_key(text: str) -> str:
    """Return the key under which two typed texts are the same.

    1. Apostrophes, hyphens and middle dots that are typed for each other become one character of each.
    2. Invisible characters go: joiners, direction marks, soft hyphens, variation selectors.
    3. Case folding. Turkish i with and without its dot is one letter, because a staff list in capitals and a name in
       small letters would differ by it, and Unicode's case folding alone does not know that.
    4. Unicode NFKC: width, ligatures, and one form for a letter with its accents.
    5. White space of any kind becomes one blank between words, and none around them.

    Accents and other diacritics count: ``Muller`` is not ``Müller``. Total: any text has a key, also one that
    `parse_text` refuses. The key of a key is that key.
    """
    key, before = text, None
    while key != before:  # twice, nearly always: what NFKC takes apart may have to be folded again
        before = key
        # 1. and 2.
        visible = "".join(one for one in key.translate(_ALIKE) if not _is_invisible(one))
        # 3.
        folded = unicodedata.normalize("NFD", visible).casefold().replace(_DOTLESS_I, "i").replace(_DOTTED_I, "i")
        # 4. and 5.
        key = " ".join(unicodedata.normalize("NFKC", folded).split())
    return key


def same_text(one: str, other: str) -> bool:
    """Return whether people take two typed texts for the same: equal comparison keys."""
    return comparison_key(one) == comparison_key(other)


def parse_code(text: str, separators: str = "- ") -> str:
    """Return a typed code: wide letters and the digits of every script as ASCII; without separators. Case is kept.

    Of a hyphen or a blank among the separators, every kind is left out, but no line break or tab. The result is never
    longer than the text, and not checked: the caller knows its length and letters.
    """
    found = (_in_ascii(one) for one in text.strip().translate(_ALIKE))
    return "".join(one for one in found if one not in separators and not _is_invisible(one))


def parse_passphrase(text: str) -> str:
    """Return a passphrase as it is hashed: NFC, every kind of blank as one U+0020, nothing else changed.

    Source: RFC 8265 (PRECIS OpaqueString).
    """
    return to_nfc("".join(" " if unicodedata.category(one) == "Zs" else one for one in text))


def nearest(wanted: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return up to `most` of the known texts that are most like a text that was not found, the nearest first.

    Accents are left out of this comparison, because a missing accent is the most frequent reason. Cost: one comparison
    of characters for each known text.
    """
    by_key: dict[str, str] = {}
    for one in known:
        by_key.setdefault(_without_accents(one), one)
    close = difflib.get_close_matches(_without_accents(wanted), by_key, n=most, cutoff=_NEAR)
    return [by_key[one] for one in close]


_NEAR: Final = 0.7
"""Of `difflib`'s ratio: one wrong letter in four of a short name."""


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", comparison_key(text))
    return "".join(one for one in parts if not unicodedata.combining(one))


def _in_ascii(character: str) -> str:
    """Return a blank, a decimal digit or a wide letter as ASCII, and any other character as it is."""
    if unicodedata.category(character) == "Zs":
        return " "
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    is_wide = unicodedata.decomposition(character).startswith("<wide>")
    return unicodedata.normalize("NFKC", character) if is_wide else character


def _is_refused(character: str) -> bool:
    category, code = unicodedata.category(character), ord(character)
    if category == "Cn" and any(code in block for block in _GROWING) and code & _LAST_TWO != _LAST_TWO:
        return False
    return category in _REFUSED_CATEGORIES or character in _DIRECTION


def _is_invisible(character: str) -> bool:
    """Return whether a character has no shape of its own: format characters (Cf) and `_IGNORED`."""
    return unicodedata.category(character) == "Cf" or character in _IGNORED


def _named(character: str) -> str:
    """Return a character by code point and Unicode name, never as itself."""
    kind = _REFUSED_CATEGORIES.get(unicodedata.category(character), "")
    name = _CONTROL_NAMES.get(character) or unicodedata.name(character, kind)
    return f"U+{ord(character):04X} {name}"
