"""Second factors as presented: parsed in one way, never shown in a repr, wiped after use."""

import pickle

import pytest

from volens.consent import InputError, SecondFactor, ShownFactor, check_kind

BADGES = {
    "as a reader reads it": ("04A1B2C3", b"04A1B2C3"),
    "in small letters": ("04a1b2c3", b"04A1B2C3"),
    "with colons": ("04:a1:b2:c3", b"04A1B2C3"),
    "with hyphens and blanks": (" 04-a1 b2-c3\n", b"04A1B2C3"),
    "with zeros in front, which count": ("0000123", b"0000123"),
    "of four characters": ("a1b2", b"A1B2"),
    "in digits of another script": ("\N{ARABIC-INDIC DIGIT SEVEN}" * 6, b"777777"),
    "in letters of full width": (
        "\uff41\uff11\uff42\uff12",
        b"A1B2",
    ),
    "with other hyphens": ("04\N{EN DASH}a1\N{HYPHEN}b2", b"04A1B2"),
    "of 64 characters": ("7" * 64, b"7" * 64),
}
NO_BADGES = {
    "empty": "",
    "three characters": "123",
    "65 characters": "1" * 65,
    "two lines": "1234\n5678",
    "a letter beyond ASCII": "123\N{LATIN SMALL LETTER SHARP S}456",
    "superscripts": "\N{SUPERSCRIPT TWO}" * 6,
    "punctuation": "12_34;56",
    "a NUL": "1234\0",
    "hyphens alone": "-" * 8,
}
NO_PINS = {
    "empty": "",
    "three digits": "719",
    "thirteen digits": "7190358264719",
    "letters": "12ab",
    "a blank inside": "71 90",
    "a sign": "+7190",
    "a superscript, which is a digit to Unicode": "719\N{SUPERSCRIPT TWO}",
}
OBVIOUS = [
    *("0000", "1111", "999999", "1234", "4321", "0123", "7890", "0987", "123456789012", "1212", "121212"),
    *("123123", "12341234", "1985", "2004", "2099"),
]
GOOD = ["7190", "1213", "2580", "1221", "1357", "0852", "198507", "123457", "719035"]


@pytest.mark.parametrize("case", BADGES)
def test_a_badge_number_is_read(case: str) -> None:
    text, plain = BADGES[case]
    factor = ShownFactor.badge(text)
    assert (factor.kind, bytes(factor.buffer)) == (SecondFactor.BADGE, plain)


@pytest.mark.parametrize("case", NO_BADGES)
def test_an_invalid_badge_number_is_refused(case: str) -> None:
    with pytest.raises(InputError, match=r"got a badge number of .* characters; expected 4 to 64 letters") as caught:
        ShownFactor.badge(NO_BADGES[case])
    assert not NO_BADGES[case] or NO_BADGES[case] not in str(caught.value)


@pytest.mark.parametrize("text", ["7190", " 7190\n", "719035826471"])
def test_a_pin_is_read(text: str) -> None:
    factor = ShownFactor.pin(text)
    assert (factor.kind, bytes(factor.buffer)) == (SecondFactor.PIN, text.strip().encode())


@pytest.mark.parametrize("digit", ["\N{ARABIC-INDIC DIGIT ZERO}", "\uff10", "\N{DEVANAGARI DIGIT ZERO}"])
def test_a_pin_is_typed_in_the_digits_of_any_script(digit: str) -> None:
    typed = "".join(chr(ord(digit) + number) for number in (7, 1, 9, 0))
    assert bytes(ShownFactor.pin(typed).buffer) == b"7190"


@pytest.mark.parametrize("case", NO_PINS)
def test_an_invalid_pin_is_refused(case: str) -> None:
    with pytest.raises(InputError, match=r"got a PIN of .* characters; expected 4 to 12 digits") as caught:
        ShownFactor.pin(NO_PINS[case])
    assert not NO_PINS[case] or NO_PINS[case] not in str(caught.value)


@pytest.mark.parametrize("text", OBVIOUS)
def test_an_easily_guessed_pin_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match="easily guessed") as caught:
        ShownFactor.pin(text).refuse_if_obvious()
    assert text not in str(caught.value)


@pytest.mark.parametrize("text", GOOD)
def test_another_pin_may_be_set_and_any_badge_number(text: str) -> None:
    ShownFactor.pin(text).refuse_if_obvious()
    ShownFactor.badge("1111").refuse_if_obvious()


def test_a_factor_does_not_show_itself_and_is_not_pickled() -> None:
    factor = ShownFactor.pin("719035")
    assert f"{factor!r} {factor}" == "ShownFactor(...) ShownFactor(...)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(factor)
    assert not hasattr(factor, "__dict__")


def test_a_wiped_factor_is_unusable_and_its_copy_is_not() -> None:
    with ShownFactor.pin("719035") as factor:
        own, buffer = factor.copy(), factor.buffer
    assert not buffer
    with pytest.raises(ValueError, match="wiped after use"):
        _ = factor.buffer
    with pytest.raises(ValueError, match="wiped after use"):
        factor.copy()
    assert bytes(own.buffer) == b"719035"


@pytest.mark.parametrize("asked", SecondFactor)
@pytest.mark.parametrize("text", ["7190", None])
def test_a_factor_that_the_zone_does_not_require_is_refused_and_none_is_not(
    asked: SecondFactor, text: str | None
) -> None:
    shown = None if text is None else ShownFactor.pin(text)
    if shown is None or asked is SecondFactor.PIN:
        check_kind(asked, shown)
        return
    with pytest.raises(InputError, match=r"got a PIN, but this zone requires .*; show that"):
        check_kind(asked, shown)
