"""Typed text: which spellings are one name, which characters are refused, and how the error names them."""

import unicodedata

import pytest

from volens.consent import InputError
from volens.consent.typed_text import comparison_key, nearest, parse_code, parse_passphrase, parse_text, same_text

SAME = {
    "an accent of its own, as on a Mac": ("Jose\N{COMBINING ACUTE ACCENT} Example", "José Example"),
    "case": ("ADA EXAMPLE", "ada example"),
    "German sharp s in capitals": ("STRASSE", "Straße"),
    "Greek final sigma": ("ΟΔΥΣΣΕΥΣ", "Οδυ\N{GREEK SMALL LETTER SIGMA}\N{GREEK SMALL LETTER SIGMA}ευς"),
    "Turkish i in capitals": (
        "AYŞE YILDIZ",
        "Ayşe Y\N{LATIN SMALL LETTER DOTLESS I}ld\N{LATIN SMALL LETTER DOTLESS I}z",
    ),
    "Turkish capital i with its dot": ("İpek", "ipek"),
    "a no-break space": ("Ada\N{NO-BREAK SPACE}Example", "Ada Example"),
    "a narrow no-break space and two blanks": ("Ada \N{NARROW NO-BREAK SPACE} Example", "Ada Example"),
    "a Japanese space": ("山田\N{IDEOGRAPHIC SPACE}太郎", "山田 太郎"),
    "blanks around it": ("\t Ada Example \n", "Ada Example"),
    "a curved apostrophe": ("O\N{RIGHT SINGLE QUOTATION MARK}Brien", "O'Brien"),
    "an accent for an apostrophe": ("O\N{ACUTE ACCENT}Brien", "O'Brien"),
    "a letter apostrophe": ("Знам\N{MODIFIER LETTER APOSTROPHE}янка", "Знам'янка"),
    "a Hebrew geresh": ("ג\N{HEBREW PUNCTUATION GERESH}ורג", "ג'ורג"),
    "a no-break hyphen": ("Anne\N{NON-BREAKING HYPHEN}Marie", "Anne-Marie"),
    "a dash for a hyphen": ("Anne\N{EN DASH}Marie", "Anne-Marie"),
    "a soft hyphen out of a document": ("Exam\N{SOFT HYPHEN}ple", "Example"),
    "the Catalan dot": ("Ga\N{LATIN SMALL LETTER L WITH MIDDLE DOT}la", "Gal·la"),
    "the Japanese dot": ("ジョン\N{HALFWIDTH KATAKANA MIDDLE DOT}スミス", "ジョン\N{KATAKANA MIDDLE DOT}スミス"),
    "letters of full width": (
        "\uff21\uff44\uff41",
        "Ada",
    ),
    "half-width katakana": ("ｱﾀﾞ", "アダ"),
    "a ligature": ("Graﬁ", "Grafi"),
    "Hangul in parts": (unicodedata.normalize("NFD", "김민준"), "김민준"),
    "a Persian name with and without the joiner": ("علی\N{ZERO WIDTH NON-JOINER}رضا", "علیرضا"),
    "a zero width space": ("Ada\N{ZERO WIDTH SPACE} Example", "Ada Example"),
    "a direction mark": ("דנה\N{RIGHT-TO-LEFT MARK}", "דנה"),
    "a byte order mark": ("\N{ZERO WIDTH NO-BREAK SPACE}Ada", "Ada"),
    "a variation selector": ("葛\N{VARIATION SELECTOR-17}城", "葛城"),
    "combining marks in another order": ("e\u0323\u0301", "e\u0301\u0323"),
}
OTHER = {
    "an accent": ("Muller", "Müller"),
    "a stroke": ("Lukasz", "Łukasz"),
    "a Cyrillic letter that looks Latin": ("\N{CYRILLIC CAPITAL LETTER A}da", "Ada"),
    "a blank between": ("Annemarie", "Anne Marie"),
    "a hyphen": ("Anne Marie", "Anne-Marie"),
    "a virama": ("क\N{DEVANAGARI SIGN VIRAMA}ष", "कष"),
    "another name": ("Ada Example", "Eve Example"),
}
KEPT = {
    "an apostrophe as typed": "O\N{RIGHT SINGLE QUOTATION MARK}Brien",
    "a middle dot": "Gal·la",
    "a hyphen": "Anne-Marie",
    "a Persian joiner": "علی\N{ZERO WIDTH NON-JOINER}رضا",
    "an Indic joiner": "ක\N{SINHALA SIGN AL-LAKUNA}\N{ZERO WIDTH JOINER}ෂ",
    "a Japanese space": "山田\N{IDEOGRAPHIC SPACE}太郎",
    "a no-break space": "Ada\N{NO-BREAK SPACE}Example",
    "a mark of direction": "דנה\N{RIGHT-TO-LEFT MARK}",
    "a character for private use": "\ue000",
    "an ideograph that is newer than this Python": "\U0002ebf0",
    "case": "McAdams van der Berg",
}
REFUSED = {
    "a line feed": ("Ada\nExample", "U+000A LINE FEED at place 4"),
    "a tab": ("Ada\tExample", "U+0009 TAB"),
    "a NUL": ("Ada\0", "U+0000 NULL"),
    "a terminal's escape": ("\x1b[31mAda", "U+001B ESCAPE at place 1"),
    "a C1 control": ("Ada\x9bm", "U+009B CONTROL CHARACTER"),
    "a line separator": ("Ada\u2028Example", "U+2028 LINE SEPARATOR"),
    "an override of direction": ("Ada \N{RIGHT-TO-LEFT OVERRIDE}elpmaxE", "U+202E RIGHT-TO-LEFT OVERRIDE at place 5"),
    "an isolate": ("Ada\N{FIRST STRONG ISOLATE}Example", "U+2068 FIRST STRONG ISOLATE"),
    "half of a surrogate pair": ("Ada\udce9", "U+DCE9 HALF OF A SURROGATE PAIR, NO CHARACTER"),
    "a noncharacter": ("Ada\uffff", "U+FFFF NOT ASSIGNED TO A CHARACTER"),
    "the last of a plane of ideographs": ("\U0002fffe", "U+2FFFE NOT ASSIGNED TO A CHARACTER"),
    "a code point without a character": ("Ada\u0378", "U+0378 NOT ASSIGNED TO A CHARACTER"),
}


@pytest.mark.parametrize("case", SAME)
def test_two_spellings_are_one_name_in_spite_of(case: str) -> None:
    one, other = SAME[case]
    assert one != other
    assert same_text(one, other)


@pytest.mark.parametrize("case", OTHER)
def test_two_names_differ_by(case: str) -> None:
    assert not same_text(*OTHER[case])


@pytest.mark.parametrize("case", KEPT)
def test_a_name_is_stored_with(case: str) -> None:
    assert parse_text(KEPT[case], "a name", 200) == KEPT[case]


def test_a_name_is_stored_in_nfc_without_white_space_around() -> None:
    assert parse_text("\ufeff Jose\N{COMBINING ACUTE ACCENT}\r\n", "a name", 200) == "José"


@pytest.mark.parametrize("case", REFUSED)
def test_a_name_is_refused_with(case: str) -> None:
    text, named = REFUSED[case]
    with pytest.raises(InputError) as caught:
        parse_text(text, "a name", 200)
    message = str(caught.value)
    assert message.startswith(f"got a name with {named}")
    assert "Ada" not in message
    assert message.isascii()


@pytest.mark.parametrize(
    "text", ["", "  ", "\N{ZERO WIDTH JOINER}", "\N{HANGUL FILLER}", "\N{ZERO WIDTH SPACE}" * 3, "x" * 201]
)
def test_a_name_has_1_to_200_characters_of_which_one_is_visible(text: str) -> None:
    with pytest.raises(InputError, match=r"got a name of \d+ characters; expected 1 to 200, one of them visible"):
        parse_text(text, "a name", 200)


def test_a_text_of_several_lines_may_have_line_breaks_and_tabs_only() -> None:
    assert parse_text("one\r\n\ttwo", "a text", 200, lines=True) == "one\r\n\ttwo"
    with pytest.raises(InputError, match=r"U\+0007 BELL"):
        parse_text("one\atwo", "a text", 200, lines=True)


def test_every_character_has_a_key_that_is_its_own_key() -> None:
    for code in (*range(0x30000), *range(0xE0000, 0xE0200)):  # the rest has no characters
        key = comparison_key(chr(code))
        assert comparison_key(key) == key


def test_a_code_keeps_what_is_no_digit_letter_or_separator() -> None:
    assert parse_code("ab-\uff11\uff12 ٣\N{EN DASH}\N{NO-BREAK SPACE}²é") == "ab123²é"
    assert parse_code("12-34:56", " -:") == "123456"
    assert parse_code("12\n34") == "12\n34"


def test_a_passphrase_is_the_same_on_every_keyboard_and_keeps_its_case() -> None:
    assert parse_passphrase("Jose\N{COMBINING ACUTE ACCENT}\N{NO-BREAK SPACE}x ") == "José x "
    assert parse_passphrase("Secret") != parse_passphrase("secret")


def test_the_nearest_names_come_first_and_are_few() -> None:
    known = ["Eva Müller", "Eve Miller", "Bernd Schwarz", "Eva Mueller", "Eva Müllers"]
    assert nearest("Eva Muller", known)[0] == "Eva Müller"
    assert len(nearest("Eva Muller", known * 50)) == 3
    assert nearest("p2bb", known) == []
    assert nearest("", known) == []
