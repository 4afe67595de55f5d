"""Notices as HTML and as plain text: Markdown is rendered, and everything else stays text."""

import pytest

from volens.service.notice_markdown import notice_html, notice_text

NOTICE = """# Your face

<!-- volens:controller -->
**Who asks.** A & B <b>Ltd</b>.

You may:

- see it
- erase it

> I agree.

---

See [the policy](https://example.org/policy).
"""


def test_markdown_becomes_html_below_the_title_of_the_page_and_anchors_are_left_out() -> None:
    html = notice_html(NOTICE)
    assert "<h2>Your face</h2>" in html
    assert "<strong>Who asks.</strong> A &amp; B &lt;b&gt;Ltd&lt;/b&gt;." in html
    assert "<li>see it</li>" in html
    assert "<blockquote>" in html
    assert '<a href="https://example.org/policy">the policy</a>' in html
    assert "volens:" not in html


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![x](https://tracker.example/p.png)",
        "<!-- volens:data --><svg onload=alert(1)>",
        "<!-- a <!-- b --><iframe src=//e.example></iframe>",
    ],
)
def test_a_notice_brings_no_script_no_picture_and_no_tag_of_its_own(hostile: str) -> None:
    html = notice_html(hostile)
    assert not [tag for tag in ("<script", "<img", "<svg", "<iframe", 'href="javascript') if tag in html]


def test_plain_text_has_the_words_without_the_marks() -> None:
    text = notice_text(NOTICE)
    assert text.startswith("Your face\n=========\n\nWho asks. A & B <b>Ltd</b>.\n")
    assert "- see it\n" in text
    assert "| I agree.\n" in text
    assert "[https://example.org/policy] the policy" in text
    assert "**" not in text
    assert "volens:" not in text


def test_long_lines_are_broken_at_blanks() -> None:
    lines = notice_text("word " * 60).splitlines()
    assert max(map(len, lines)) <= 100
    assert notice_text("").strip() == ""
