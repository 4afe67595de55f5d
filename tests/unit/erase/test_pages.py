"""The HTML templates: complete pages that load nothing, run nothing and show every value as text."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import UndefinedError

from volens.erase import pages
from volens.erase.pages import LANGUAGES, PageLanguage, render_page

FOLDER = Path(pages.__file__).parent
TEMPLATES = sorted(path.name for path in FOLDER.glob("*.html"))
POLICY = {
    "dct:issued": "2099-03-01T12:00:00Z",
    "dpv:hasDataController": {"dpv:hasName": "<b>Bakery</b> & Sons", "dpv:hasContact": "desk"},
    "dpv:hasPersonalDataProcess": [],
    "volens:jurisdictions": [],
    "volens:afterwards": "x",
    "volens:evidence": "y",
    "volens:kept": [],
    "volens:namesShownDays": 366,
}


def test_every_template_extends_the_base_and_loads_and_runs_nothing() -> None:
    assert len(TEMPLATES) == 9
    for name in TEMPLATES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        is_whole = name != "base.html" and not name.endswith("_body.html")
        assert text.startswith('{% extends "base.html" %}') == is_whole
        assert not re.search(r"<script|\bon\w+=|\b(src|href|action)=|url\(|@import|\|\s*safe\b|autoescape", text), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_has_a_language_a_viewport_and_colours_for_dark_and_light(language: PageLanguage) -> None:
    page = render_page("retention_policy.html", language=language, policy=POLICY)
    assert page.startswith(f'<!DOCTYPE html>\n<html lang="{language}">')
    assert 'content="width=device-width' in page
    assert "color-scheme: light dark" in page
    assert "default-src 'none'" in page


def test_a_page_looks_like_a_document() -> None:
    page = render_page("retention_policy.html", language="fr", time_zone=ZoneInfo("Europe/Paris"), policy=POLICY)
    header, footer = page.partition("<header>")[2].partition("</header>")[0], page.partition("<footer>")[2]
    assert "Bakery" in header
    assert "Politique de conservation" in header
    assert "1er mars 2099 à 13:00 CET" in footer
    assert "(12:00:00 UTC)" in footer
    assert 'content: "Page " counter(page)' in page


def test_colours_are_declared_in_one_place() -> None:
    for name in TEMPLATES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        colours = re.findall(r"#[0-9a-f]{3,8}\b", text)
        assert name == "base.html" or set(colours) <= {"#fff"}, name


def test_a_value_is_shown_as_text_and_not_as_markup() -> None:
    page = render_page("retention_policy.html", policy=POLICY)
    assert "&lt;b&gt;Bakery&lt;/b&gt; &amp; Sons" in page
    assert "<b>Bakery" not in page


def test_a_missing_value_is_an_error_and_not_an_empty_place() -> None:
    incomplete = {name: value for name, value in POLICY.items() if name != "dct:issued"}
    with pytest.raises(UndefinedError):
        render_page("retention_policy.html", policy=incomplete)
