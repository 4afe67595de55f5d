"""Normalisation of second factors: every spelling of a number is the same number, and no other text is."""

from hypothesis import given
from hypothesis import strategies as st

from volens.consent import InputError, ShownFactor

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NUMBERS = st.text(LETTERS, min_size=4, max_size=64)


@given(NUMBERS, st.randoms(use_true_random=False))
def test_a_badge_number_is_the_same_in_any_case_and_with_any_separators(number: str, chance: object) -> None:
    written = "".join(
        (one.lower() if chance.random() < 0.5 else one) + chance.choice(["", "", "-", ":", " "])  # type: ignore[attr-defined]
        for one in number
    )
    read = ShownFactor.badge(f" {written}\n")
    assert bytes(read.buffer) == number.encode()
    assert bytes(ShownFactor.badge(bytes(read.buffer).decode()).buffer) == number.encode()


@given(NUMBERS, NUMBERS)
def test_two_numbers_are_never_read_as_one(one: str, other: str) -> None:
    same = bytes(ShownFactor.badge(one).buffer) == bytes(ShownFactor.badge(other).buffer)
    assert same == (one == other)


@given(st.text(max_size=80))
def test_any_text_is_a_factor_or_an_error_in_a_sentence(text: str) -> None:
    for read in (ShownFactor.badge, ShownFactor.pin):
        try:
            factor = read(text)
        except InputError as error:
            assert len(text) < 4 or text not in str(error)  # noqa: PT017  either way is right
        else:
            assert bytes(factor.buffer).isalnum()
            assert len(factor.buffer) <= len(text.strip())
