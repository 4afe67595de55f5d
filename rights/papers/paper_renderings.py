"""A paper as an HTML page to print, and as Markdown to edit."""

import re
from collections.abc import Iterator
from typing import Final

from volens.erase.pages import PageWords, render_page
from volens.rights.papers.paper import Gap, Paper, Row, Section

_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|~])")
"""Characters that Markdown gives a meaning; values come from people, and are shown as text."""


def paper_page(paper: Paper, signed_file: str) -> str:
    """Return the paper as a complete HTML page, with a style for print."""
    return render_page("paper.html", language=paper.language, paper=paper, signed_file=signed_file)


def paper_markdown(paper: Paper, signed_file: str) -> str:
    """Return the paper as Markdown (CommonMark, with tables)."""
    return "\n".join(_lines(paper, signed_file)) + "\n"


def _lines(paper: Paper, signed_file: str) -> Iterator[str]:
    words, record = PageWords("paper", paper.language), paper.record
    count = len(paper.gaps)
    yield f"# {_text(paper.draft.title)}"
    yield ""
    yield f"{_text(paper.controller.name)}. {_text(paper.subject)}"
    yield ""
    open_questions = words.text("gaps", count=count) if count else words.text("no_gaps")
    yield f"{words.text('not_advice')} {open_questions}"
    for section in paper.draft.sections:
        yield from _section(section, words)
    yield from ("", f"## {words.text('sources')}", "")
    yield from (f"- {one.checked_on}: {_text(one.what)} ({_text(one.where)})" for one in paper.sources)
    yield from ("", f"## {words.text('not_checked')}", "")
    yield from (f"- {_text(one)}" for one in paper.not_checked)
    yield ""
    made_from = "" if record is None else words.text("made_from", hash=f"`{record.sha256}`") + " "
    yield made_from + words.text("signed_in", file=f"`{signed_file}`")
    yield ""
    yield f"{words.text('issued')} {' '.join(filter(None, words.moment(paper.made_at)))}"


def _section(section: Section, words: PageWords) -> Iterator[str]:
    yield from ("", f"## {_text(section.heading)}")
    for sentence in section.text:
        yield from ("", _text(sentence))
    if section.rows:
        yield ""
        yield from (_row(row, words) for row in section.rows)
    if section.in_english and words.language != "en":
        yield from ("", words.text("in_english"))
    if section.points:
        yield ""
        yield from (f"- {_text(point)}" for point in section.points)
    if section.grid is not None:
        yield ""
        for number, cells in enumerate((section.grid.head, *section.grid.rows)):
            yield f"| {' | '.join(map(_text, cells))} |"
            if not number:
                yield f"|{' --- |' * len(cells)}"


def _row(row: Row, words: PageWords) -> str:
    if isinstance(row.answer, Gap):
        declare = f" {words.text('declare')} `{row.answer.command}`" if row.answer.command else ""
        return f"- **{_text(row.label)}**: **[{words.text('gap')}]** {_text(row.answer.question)}{declare}"
    return f"- **{_text(row.label)}**: {_text(row.answer)}"


def _text(value: str) -> str:
    """Return a value on one line, so that it is shown as it is."""
    return _MARKUP.sub(r"\\\1", " ".join(value.split()))
