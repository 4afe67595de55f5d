"""Text in all scripts: each letter is drawn by a font that has it."""

import numpy as np
import pytest
from PIL import Image

from volens.service.typeface import embedded_font, missing_letters, text_mask, unknown_letters

NAMES = [
    "Müller",
    "Ağaoğlu",
    "Мария",
    "Ναπολέων",
    "გიორგი",
    "王芳",
    "김철수",
    "やまだ",
    "علي",
    "אברהם",
    "สมชาย",
    "शर्मा",
]


def ink(text: str, size: int = 40) -> int:
    return int(np.count_nonzero(np.asarray(text_mask(text, size)) > 100))


@pytest.mark.parametrize("name", NAMES)
def test_every_letter_of_a_name_is_known_and_drawn(name: str) -> None:
    assert unknown_letters(name) == []
    assert ink(name) > 100
    boxes = text_mask("\U0010ffff" * len(name), 40)
    assert text_mask(name, 40).tobytes() != boxes.tobytes()


def test_parts_of_several_fonts_stand_side_by_side() -> None:
    mixed = text_mask("Мария 王芳 علي", 40)
    assert mixed.width > text_mask("Мария", 40).width + text_mask("王芳", 40).width
    assert ink("Мария 王芳 علي") > ink("Мария") + ink("王芳") + ink("علي") - 50


def test_arabic_letters_are_joined() -> None:
    apart = sum(text_mask(letter, 40).width for letter in "علي")
    assert text_mask("علي", 40).width < apart


def test_a_letter_that_no_font_has_is_reported_and_drawn_as_a_box() -> None:
    assert unknown_letters("A\U0010fffe") == ["\U0010fffe"]
    assert ink("\U0010fffe") > 0


def test_control_characters_do_not_break_the_line() -> None:
    assert text_mask("a\nb\tc", 40).height == text_mask("abc", 40).height
    assert isinstance(text_mask("", 40), Image.Image)


@pytest.mark.parametrize(
    ("text", "missing"), [("Müller Ελλάς Юрий", ""), ("株式", "株式"), ("علي", "علي"), ("e\u0301", "")]
)
def test_letters_that_a_pdf_cannot_show_are_named(text: str, missing: str) -> None:
    assert missing_letters(text) == list(missing)


def test_the_embedded_fonts_are_truetype_files() -> None:
    assert all(embedded_font(name)[:4] == b"\0\1\0\0" for name in ("FiraGO-Regular", "FiraGO-Bold"))
