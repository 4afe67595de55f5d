"""Renders a page (Jinja) with its language, its security headers and no script or style inside it."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape

from volens.consent.zone import Zone
from volens.erase.pages import LANGUAGES, PageLanguage
from volens.service.http.app_state import AppState
from volens.service.notice_markdown import notice_html
from volens.service.web.page_language import LANGUAGE_COOKIE, SHARED_DOMAIN, PageTexts, language_of
from volens.service.web.static_assets import asset_url

TEMPLATES: Final = Path(__file__).parent / "templates"
LANGUAGE_NAMES: Final[dict[PageLanguage, str]] = {"en": "English", "fr": "Français", "de": "Deutsch"}
_LANGUAGE_COOKIE_S: Final = 366 * 24 * 3600
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No script or style inside a page, nothing from elsewhere, no frame around it, no markup made by scripts."""

PRINTED_PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""For the printed pages (`volens.erase.pages`), whose style is inside them, so that each is one file."""


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    camera: bool = False,
    **values: object,
) -> HTMLResponse:
    """Return a page. Call it in a thread, because it reads the site's defaults.

    Templates write texts with ``_("...")`` and ``ngettext``, and times with ``when``, ``day`` and ``clock``. Values are
    escaped, and a missing value is an error.

    Args:
        request: chooses the language.
        template: a file in `TEMPLATES`; its folder is also the name of the catalogue with its texts.
        status: HTTP status.
        camera: whether scripts of the page may ask for the camera.
        **values: what the template shows.

    Raises:
        jinja2.UndefinedError: the template uses a value that is missing; a bug of the caller.
    """
    app_state: AppState = request.app.state.app_state
    site = app_state.site
    domain = template.rpartition("/")[0] or SHARED_DOMAIN
    texts = PageTexts(domain, language_of(request), site.defaults.time_zone())
    shown = page_text(
        template,
        texts,
        **values,
        languages=[(one, LANGUAGE_NAMES[one]) for one in LANGUAGES],
        path=request.url.path,
        controller=site.installation.store.site.controller,
    )
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Permissions-Policy": f"camera=({'self' if camera else ''}), microphone=(), geolocation=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Content-Language": texts.language,
        "Vary": "Accept-Language, Cookie",
    }
    response = HTMLResponse(shown, status, headers)
    if request.query_params.get("lang") in LANGUAGES:
        secure = request.url.scheme == "https"
        response.set_cookie(
            *(LANGUAGE_COOKIE, texts.language, _LANGUAGE_COOKIE_S), secure=secure, httponly=True, samesite="lax"
        )
    return response


def page_text(template: str, texts: PageTexts, **values: object) -> str:
    """Return a template with its texts and values, as HTML; see `render`.

    Raises:
        jinja2.UndefinedError: the template uses a value that is missing; a bug of the caller.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            values,
            _=_formatting(texts),
            ngettext=_plural(texts),
            when=texts.when,
            day=texts.day,
            clock=texts.clock,
            date_digits=texts.date_digits,
            language=texts.language,
        )
    )


def zone_name(zone: Zone) -> str:
    """Return what people call a zone: its title, or its name."""
    return zone.title or zone.purpose


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset_url
    environment.globals["notice_html"] = notice_html
    return environment


def _formatting(texts: PageTexts) -> Any:  # noqa: ANN401  a function with keyword arguments, for Jinja
    def translated(message: str, /, **values: object) -> str:
        # Values are escaped here, so that a time, which is markup, stays markup.
        return escape(texts.gettext(message)) % values if values else texts.gettext(message)

    return translated


def _plural(texts: PageTexts) -> Any:  # noqa: ANN401  a function with keyword arguments, for Jinja
    def translated(singular: str, plural: str, num: int, /, **values: object) -> str:
        return escape(texts.ngettext(singular, plural, num)) % {"num": num, **values}

    return translated
