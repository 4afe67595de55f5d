"""Translations: each sentence in each language, with the same values, and used; times in words."""

import re
import string
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from volens import rights, service
from volens.consent import Custody, EndReason, declarations
from volens.consent.clocks import LEGAL_SOURCES
from volens.erase import pages
from volens.erase.pages import LANGUAGES, PageLanguage, PageWords, page_language
from volens.erase.proof import NOT_PROMISED
from volens.store.schema import PERSONAL

FOLDER = Path(pages.__file__).parent
TABLES = sorted(path.stem for path in FOLDER.glob("*.toml"))
MESSAGES = {
    "invitation_message": Path(service.__file__).parent / "invitation_letter.py",
    "declarations": Path(declarations.__file__),
    "consent_question": Path(service.__file__).parent / "cli" / "take_home_files.py",
}
"""Texts that are no pages, and the module that uses their words."""
PAPERS = Path(rights.__file__).parent / "papers"
"""The modules that write papers; each uses tables whose names begin with 'paper'."""
PAGES = [name for name in TABLES if name != "base"]
PARIS = ZoneInfo("Europe/Paris")


def table(page: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((FOLDER / f"{page}.toml").read_text(encoding="utf-8"))


def places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("page", TABLES)
def test_every_sentence_is_in_every_language_with_the_same_values(page: str) -> None:
    for key, sentences in table(page).items():
        assert set(sentences) == set(LANGUAGES), key
        if key != "months":
            assert {frozenset(places(one)) for one in sentences.values()} == {frozenset(places(sentences["en"]))}, key
            assert all(one.strip() == one and one for one in sentences.values()), key


@pytest.mark.parametrize("page", PAGES)
def test_every_sentence_of_a_page_is_used_by_its_template(page: str) -> None:
    files = [MESSAGES[page]] if page in MESSAGES else FOLDER.glob(f"{page}*.html")  # a body may be shared by two pages
    if page.startswith("paper"):
        files = [FOLDER / "paper.html", *PAPERS.glob("*.py")]
    template = "".join(one.read_text(encoding="utf-8") for one in files)
    known = set(re.findall(r't\.known\("(\w+)"', template)) | set(re.findall(r't\("(\w+) "', template))
    quoted = set(re.findall(r'"(\w+)"', template))
    if page.startswith("paper"):  # their keys are composed of a group and a name
        known |= quoted | set(re.findall(r'f"(\w+) \{', template))
        quoted |= set(re.findall(r'"(\w+ \w+)"', template))
    unused = {key for key in table(page) if key not in quoted and key.partition(" ")[0] not in known}
    assert unused == ({"leave_program"} & unused if page == "consent_sheet" else set())


def test_a_certificate_has_plain_words_for_everything_that_can_be_destroyed() -> None:
    words = PageWords("erasure_certificate", "en")
    counted = {one.counted_as for one in PERSONAL} | {
        "wrapped grant secret",
        "gallery sketch",
        "openings of audit leaves",
    }
    assert {one for one in counted if f"kind {one}" not in words} == set()
    assert words.text("not_promised_text") == NOT_PROMISED


def test_reasons_and_custodies_have_words() -> None:
    words = PageWords("access_answer", "de")
    assert all(f"reason {one.value}" in words for one in EndReason)
    assert all(f"custody {one.value}" in words for one in Custody)
    assert all(f"clock {one.value}" in words for one in LEGAL_SOURCES)
    assert words.known("custody", "unheard of") == "unheard of"


@pytest.mark.parametrize(
    ("tag", "language"),
    [("en", "en"), ("fr-CA", "fr"), ("de-AT", "de"), ("DE", "de"), ("ja", "en"), ("", "en"), (None, "en")],
)
def test_the_language_of_a_notice_chooses_that_of_a_page(tag: str | None, language: str) -> None:
    assert page_language(tag) == language


@pytest.mark.parametrize(
    ("language", "day", "words", "utc"),
    [
        ("en", 1, "1 March 2099, 13:05 CET", "12:05:09 UTC"),
        ("fr", 1, "1er mars 2099 à 13:05 CET", "12:05:09 UTC"),
        ("fr", 2, "2 mars 2099 à 13:05 CET", "12:05:09 UTC"),
        ("de", 31, "31. März 2099, 14:05 CEST", "12:05:09 UTC"),
    ],
)
def test_a_moment_is_in_words_in_the_time_zone_with_the_utc_time(
    language: PageLanguage, day: int, words: str, utc: str
) -> None:
    moment = datetime(2099, 3, day, 12, 5, 9, tzinfo=UTC)
    assert PageWords("access_answer", language, PARIS).moment(moment) == (words, utc)


def test_a_moment_in_utc_names_its_time_once_and_the_markup_is_exact() -> None:
    words = PageWords("access_answer", "en", ZoneInfo("UTC"))
    assert words.moment(datetime(2099, 3, 1, 12, 5, 9, tzinfo=UTC)) == ("1 March 2099, 12:05:09 UTC", "")
    marked = PageWords("access_answer", "en", PARIS).when("2099-12-31T23:30:00Z")
    assert marked == (
        '<time datetime="2099-12-31T23:30:00Z">1 January 2100, 00:30 CET</time> <span class="utc">(23:30:00 UTC)</span>'
    )


def test_values_are_escaped_in_markup_and_not_in_text() -> None:
    words = PageWords("retention_policy", "fr")
    assert "&lt;b&gt;" in words("contact", contact="<b>")
    assert "<b>" in words.text("contact", contact="<b>")
