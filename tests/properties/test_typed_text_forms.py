"""Normalisation of typed text: laws that hold for every text, in the forms of UAX #15."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.consent import InputError
from volens.consent.typed_text import comparison_key, nearest, parse_code, parse_text

any_text = st.text(max_size=40)
# Scripts whose forms differ: accents, Hangul, Indic and Arabic signs, ligatures, full width, Turkish, Greek.
NAMES = st.text(
    st.one_of(
        st.characters(min_codepoint=0x20, max_codepoint=0x36F, exclude_categories=("Cc", "Cn")),
        st.sampled_from(
            "\u0130I\u0131i\u00df\u017f\u017ft\ufb01\u03c2\u03c3\u03a3\u1fb3\u0149\u01c6\uac01\u314f\u1100\u1161\uff76\uff9e"
            "\u2460\u00b2\u00bd\ufdfa'\u2019\u00b4`\u2011\u2013\u00b7\u0140\u200c\u200d\u00ad\u00a0\u3000\ufe0f"
        ),
    ),
    min_size=1,
    max_size=20,
)


@given(any_text | NAMES)
def test_the_key_of_a_key_is_that_key(text: str) -> None:
    key = comparison_key(text)
    assert comparison_key(key) == key
    assert unicodedata.is_normalized("NFKC", key)


@given(NAMES, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_form_in_which_a_text_is_typed_makes_no_difference(text: str, form: str) -> None:
    # A spacing accent is taken for an apostrophe as it is typed; the compatibility forms make a blank of it.
    plain = text.replace("\N{ACUTE ACCENT}", "").replace("`", "")
    if form in {"NFKC", "NFKD"}:
        plain = "".join(one for one in plain if not unicodedata.normalize("NFKD", one).startswith(" "))
    assert comparison_key(unicodedata.normalize(form, plain)) == comparison_key(plain)


@given(NAMES)
def test_case_makes_no_difference(text: str) -> None:
    assert comparison_key(text.upper().lower()) == comparison_key(text.lower())
    assert comparison_key(text.casefold()) == comparison_key(text)


@given(NAMES, NAMES, st.sampled_from("\t\n \u00a0\u2003\u202f\u3000"), st.integers(1, 3))
def test_kinds_and_numbers_of_blanks_make_no_difference(one: str, other: str, blank: str, count: int) -> None:
    assert comparison_key(one + blank * count + other) == comparison_key(f" {one} {other} ")


@given(any_text)
def test_a_stored_text_is_normal_and_has_the_key_of_what_was_typed(text: str) -> None:
    try:
        stored = parse_text(text, "a name", 200)
    except InputError as error:
        stored = str(error)
        text = stored  # the message never repeats the text, so it is one itself
    assert unicodedata.is_normalized("NFC", stored)
    assert parse_text(stored, "a name", 200) == stored
    assert comparison_key(stored) == comparison_key(text)
    assert not any(unicodedata.category(one) in {"Cc", "Cs", "Zl", "Zp"} for one in stored)


@given(any_text)
def test_a_code_is_never_longer_than_what_was_typed(text: str) -> None:
    code = parse_code(text)
    assert len(code) <= len(text)
    assert parse_code(code) == code


@pytest.mark.parametrize("most", [1, 3])
@given(any_text, st.lists(any_text, max_size=20))
def test_near_names_are_among_the_known_ones_and_few(most: int, wanted: str, known: list[str]) -> None:
    found = nearest(wanted, known, most)
    assert len(found) <= most
    assert set(found) <= set(known)
