"""The HTML templates: complete pages that load nothing, run nothing and show every value as text."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from volens.erase import pages
from volens.erase.pages import render_page

FOLDER = Path(pages.__file__).parent
TEMPLATES = sorted(path.name for path in FOLDER.glob("*.html"))
POLICY = {
    "dct:issued": "2099-03-01T12:00:00Z",
    "dpv:hasDataController": {"dpv:hasName": "<b>Bakery</b> & Sons", "dpv:hasContact": "desk"},
    "dpv:hasPersonalDataHandling": [],
    "volens:afterwards": "x",
    "volens:evidence": "y",
}


def test_every_template_extends_the_base_and_loads_and_runs_nothing() -> None:
    assert len(TEMPLATES) == 5
    for name in TEMPLATES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert name == "base.html" or text.startswith('{% extends "base.html" %}')
        assert not re.search(r"<script|\bon\w+=|\b(src|href|action)=|url\(|@import|\|\s*safe\b|autoescape", text), name


def test_a_page_has_a_language_a_viewport_and_colours_for_dark_and_light() -> None:
    page = render_page("retention_policy.html", policy=POLICY)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert 'content="width=device-width' in page
    assert "color-scheme: light dark" in page
    assert "default-src 'none'" in page


def test_a_value_is_shown_as_text_and_not_as_markup() -> None:
    page = render_page("retention_policy.html", policy=POLICY)
    assert "&lt;b&gt;Bakery&lt;/b&gt; &amp; Sons" in page
    assert "<b>" not in page


def test_a_missing_value_is_an_error_and_not_an_empty_place() -> None:
    incomplete = {name: value for name, value in POLICY.items() if name != "dct:issued"}
    with pytest.raises(UndefinedError):
        render_page("retention_policy.html", policy=incomplete)
