"""Renders the HTML templates of this folder (Jinja): values are escaped, and a missing value is an error."""

from datetime import tzinfo
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from volens.consent import format_time
from volens.erase.pages.page_words import DEFAULT_LANGUAGE, PageLanguage, PageWords

_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters["utc"] = format_time
_ENVIRONMENT.filters["capitalize_first"] = lambda sentence: sentence[:1].upper() + sentence[1:]
_ENVIRONMENT.globals["code"] = lambda text: Markup("<code>{}</code>").format(_words_kept(text))
_ENVIRONMENT.globals["english"] = Markup('<span lang="en">{}</span>').format
_ENVIRONMENT.globals["fact"] = Markup('<tr><th scope="row">{}</th><td>{}</td></tr>').format


def _words_kept(text: str) -> str:
    """Keep each word of a command on one line, such as ``--trust``; a single word, such as a hash, may break."""
    words = text.split(" ")
    return text if len(words) == 1 else Markup(" ").join(Markup("<span>{}</span>").format(one) for one in words)


def render_page(
    template: str,
    *,
    page: str | None = None,
    language: PageLanguage = DEFAULT_LANGUAGE,
    time_zone: tzinfo | None = None,
    **values: object,
) -> str:
    """Return a page. The same values give the same page.

    Values are shown as text; pass `markupsafe.Markup` only for markup that this program drew itself. Templates read
    their words from `PageWords`, as ``t``; a part of a page names the `page` whose words it uses. Times are written in
    `time_zone`, by default that of this machine.

    Raises:
        jinja2.UndefinedError: the template uses a value that is missing; a bug of the caller.
    """
    words = PageWords(page or Path(template).stem, language, time_zone)
    return _ENVIRONMENT.get_template(template).render(values, t=words)
