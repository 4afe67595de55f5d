"""Catalogues of the pages: every text is translated, no translation is left over, and placeholders agree."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file

from volens.service.web.page_language import LOCALES, SHARED_DOMAIN, catalogue
from volens.service.web.page_response import TEMPLATES

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
KEYWORDS = {"_": None, "ngettext": (1, 2)}


def texts_of_templates() -> dict[str, set[tuple[str, ...]]]:
    """Return the texts of each domain, with plural forms as pairs."""
    found = defaultdict[str, set[tuple[str, ...]]](set)
    for path in sorted(TEMPLATES.rglob("*.html")):
        domain = path.parent.name if path.parent != TEMPLATES else SHARED_DOMAIN
        for _, message, _, _ in extract_from_file("jinja2.ext:babel_extract", path, keywords=KEYWORDS):
            found[domain].add(message if isinstance(message, tuple) else (message,))
    return found


TEXTS = texts_of_templates()
DOMAINS = sorted({*TEXTS, *(path.stem for path in LOCALES.rglob("*.po"))})


def translations(language: str, domain: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the translations of a catalogue, without those that a translator marked as uncertain."""
    return {
        _forms(one.id): _forms(one.string)
        for one in catalogue(language, domain)  # type: ignore[arg-type]  # the parameter below
        if one.id and not one.fuzzy
    }


@pytest.mark.parametrize("language", ["fr", "de"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_every_text_of_a_page_is_translated_and_no_other(language: str, domain: str) -> None:
    known = translations(language, domain)
    shared = translations(language, SHARED_DOMAIN)
    missing = TEXTS[domain] - {*known, *shared}
    assert not missing, "add these to the catalogue"
    assert not set(known) - TEXTS[domain], "no page has these any more"
    assert not [message for message, translated in known.items() if not all(translated)]


@pytest.mark.parametrize("language", ["fr", "de"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_translation_has_the_placeholders_of_the_text(language: str, domain: str) -> None:
    for message, translated in translations(language, domain).items():
        names = {name for form in message for name in PLACEHOLDER.findall(form)}
        for form in translated:
            assert set(PLACEHOLDER.findall(form)) <= names, message
            assert "num" in names or set(PLACEHOLDER.findall(form)) == names, message


def test_no_template_has_a_script_or_a_style_inside_it() -> None:
    wrong = re.compile(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\bsrc=)", re.IGNORECASE)
    assert not [str(path) for path in Path(TEMPLATES).rglob("*.html") if wrong.search(path.read_text("utf-8"))]


def _forms(message: object) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else tuple(message)  # type: ignore[arg-type]  # a pair of texts
