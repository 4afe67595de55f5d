"""Renders the HTML templates of this folder (Jinja): values are escaped, and a missing value is an error."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from volens.consent import format_time

_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters["utc"] = format_time


def render_page(template: str, **values: object) -> str:
    """Return a page. The same values give the same page.

    Values are shown as text; pass `markupsafe.Markup` only for markup that this program drew itself.

    Raises:
        jinja2.UndefinedError: the template uses a value that is missing; a bug of the caller.
    """
    return _ENVIRONMENT.get_template(template).render(values)
