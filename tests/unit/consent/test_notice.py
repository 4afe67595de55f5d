"""A notice is its exact bytes."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from tests.unit.consent.samples import NOTICE_TEXT, NOW, notice
from volens.consent import InputError, TamperError
from volens.consent.notice import MAX_NOTICE_BYTES

EXACT = {
    "Windows line ends": b"one\r\ntwo\r\n",
    "no line end": b"one",
    "spaces around": b"  one \n\n",
    "a byte order mark": b"\xef\xbb\xbfone",
    "e with an accent in one code point": "caf\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
    "e with an accent in two code points": b"cafe\xcc\x81",
    "joiners of Persian and an emoji": "می\N{ZERO WIDTH NON-JOINER}خواهم \U0001f6b6".encode(),
    "tabs": b"one\ttwo",
    "the largest size": b"x" * MAX_NOTICE_BYTES,
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"text": b""}, "got an empty notice; write the text that people agree to"),
    "white space": ({"text": b" \r\n\t"}, "got an empty notice"),
    "Latin-1": ({"text": b"caf\xe9"}, "not UTF-8 text; save it as UTF-8"),
    "a surrogate in UTF-8": ({"text": b"\xed\xa0\x80"}, "not UTF-8 text"),
    "an overlong slash": ({"text": b"\xc0\xaf"}, "not UTF-8 text"),
    "UTF-16": ({"text": "consent".encode("utf-16")}, "not UTF-8 text"),
    "text with a NUL": ({"text": b"one\0two"}, "got a notice with U+0000 NULL at place 4"),
    "text with a terminal's escape": ({"text": b"one\x1b[2Jtwo"}, "U+001B ESCAPE"),
    "text with a direction override": (
        {"text": "you may \N{RIGHT-TO-LEFT OVERRIDE}esufer".encode()},
        "got a notice with U+202E RIGHT-TO-LEFT OVERRIDE at place 9",
    ),
    "one byte too many": (
        {"text": b"x" * (MAX_NOTICE_BYTES + 1)},
        f"got a notice of {MAX_NOTICE_BYTES + 1} bytes; expected at most {MAX_NOTICE_BYTES}",
    ),
    "no language": ({"language": ""}, "got language ''; expected a BCP 47 tag"),
    "a language by name": ({"language": "English"}, "got language 'English'"),
    "a POSIX locale": ({"language": "fr_CA"}, "got language 'fr_CA'"),
    "a language with a newline": ({"language": "fr\n"}, "expected a BCP 47 tag"),
}


@pytest.mark.parametrize("case", EXACT)
def test_a_notice_keeps_the_exact_bytes_of(case: str) -> None:
    published = notice(text=EXACT[case])
    assert published.text.encode("utf-8") == EXACT[case]
    assert published.sha256 == sha256(EXACT[case]).hexdigest()
    published.check()


@pytest.mark.parametrize("case", REFUSED)
def test_a_notice_is_refused_that_is(case: str) -> None:
    changes, words = REFUSED[case]
    with pytest.raises(InputError) as caught:
        notice(**changes)
    assert words in str(caught.value)


def test_the_hash_of_a_notice_is_a_known_one() -> None:
    # printf abc | sha256sum
    assert notice(text=b"abc").sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("language", ["en", "fr-CA", "gsw", "zh-Hant-TW"])
def test_a_notice_takes_language_tags(language: str) -> None:
    assert notice(language=language).language == language


def test_a_notice_says_when_it_was_published_in_whole_seconds() -> None:
    assert notice(now=NOW.replace(microsecond=1)).published_at == NOW


@pytest.mark.parametrize(
    "text", [NOTICE_TEXT.decode() + " ", NOTICE_TEXT.decode().replace("\r\n", "\n"), "", "something else"]
)
def test_a_changed_notice_fails_its_check(text: str) -> None:
    with pytest.raises(TamperError, match=r"integrity: notice 1 \(en\) of zone 'front-door' is not the published text"):
        replace(notice(), text=text).check()


def test_a_changed_hash_fails_the_check_as_well() -> None:
    with pytest.raises(TamperError, match="integrity"):
        replace(notice(), sha256="0" * 64).check()
