"""Renders a notice, which is Markdown, for people: as HTML for pages, and as plain text for terminals and paper.

The text is the operator's, and people trust the page that shows it: HTML in it is escaped, images are not loaded, and
links lead only where `markdown_it` allows (no ``javascript:``). Anchors are left out (`volens.consent.notice_reading`).
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from volens.consent.notice_reading import without_anchors

_PARSER: Final = MarkdownIt("commonmark", {"html": False}).disable(["image", "html_block", "html_inline"])
_LOWEST: Final = 6
_BELOW_THE_TITLE: Final = 1
"""The page has a title of its own: the heading of a notice is one below it."""
_WIDTH: Final = 100


@lru_cache(maxsize=64)
def notice_html(text: str) -> Markup:
    """Return a notice as HTML."""
    tokens = _PARSER.parse(without_anchors(text))
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(_LOWEST, int(token.tag[1:]) + _BELOW_THE_TITLE)}"
    html: str = _PARSER.renderer.render(tokens, _PARSER.options, {})
    # S704: the parser escapes every character that Markdown gives no meaning.
    return Markup(html)  # noqa: S704


def notice_text(text: str) -> str:
    """Return a notice as plain text: without markup, in lines of at most 100 characters."""
    return "\n".join(_blocks(_PARSER.parse(without_anchors(text)))).strip() + "\n"


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    before, marks = "", list[str]()
    heading = 0
    for token in tokens:
        match token.type:
            case "heading_open":
                heading = int(token.tag[1:])
            case "list_item_open":
                marks.append(f"{token.info}{token.markup} " if token.info else "- ")
            case "list_item_close":
                marks = marks[:-1]
            case "blockquote_open":
                before += "| "
            case "blockquote_close":
                before = before[:-2]
            case "inline":
                yield from _lines(_plain(token.children or ()), before, marks, heading)
                heading = 0
            case "fence" | "code_block":
                yield from (f"{before}{line}" for line in token.content.splitlines())
                yield ""
            case "hr":
                yield from ("---", "")
            case _:
                pass


def _lines(text: str, before: str, marks: list[str], heading: int) -> Iterator[str]:
    first = before + (marks[-1] if marks else "")
    later = before + " " * (len(first) - len(before))
    for number, part in enumerate(text.split("\n")):
        indent = later if number else first
        yield from textwrap.wrap(
            part, _WIDTH, initial_indent=indent, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
        )
    if heading == 1:
        yield "=" * min(len(text), _WIDTH)
    elif heading:
        yield "-" * min(len(text), _WIDTH)
    yield ""


def _plain(tokens: Iterable[Token]) -> str:
    parts: list[str] = []
    for token in tokens:
        match token.type:
            case "text" | "code_inline":
                parts.append(token.content)
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append("\n")
            case "link_close":
                pass
            case "link_open":
                target = str(token.attrs.get("href", ""))
                parts.append("" if target.startswith("#") else f"[{target}] ")
            case _:
                pass
    return "".join(parts)
