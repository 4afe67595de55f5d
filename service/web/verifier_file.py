"""The verifier: the page that checks documents, as one HTML file that needs no network and no site.

The modules of the page are put into one script, in the order of their imports. The file refuses every other script and
style by their hashes (Content Security Policy), and cannot connect to anything. It holds no key of a site, so it is the
same for every site: a copy can be compared by its SHA-256.
"""

import re
from base64 import b64encode
from datetime import UTC
from functools import cache
from hashlib import sha256
from typing import Final

from markupsafe import Markup

from volens.erase.pages import PageLanguage
from volens.service.web.page_language import PageTexts
from volens.service.web.page_response import page_text
from volens.service.web.static_assets import assets

DOMAIN: Final = "verify"
_PARTS: Final = "verify/check_parts.html"
_MAIN_SCRIPT: Final = "verify_page.js"
_STYLES: Final = ("pages.css", "check_document.css")
_IMPORT: Final = re.compile(r'^import [^;]*? from "\./([a-z0-9_]+\.js)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(async )?(function|const|class) )", re.MULTILINE)
_PAGE: Final = Markup(
    """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{parts}
</main>
<script type="module">{script}</script>
</body>
</html>
"""
)


@cache
def verifier_file(language: PageLanguage) -> bytes:
    """Return the verifier in a language: the same bytes for every site, about 150 kB."""
    texts = PageTexts(DOMAIN, language, UTC)
    script, style = bundled(_MAIN_SCRIPT), "".join(_text(name) for name in _STYLES)
    page = _PAGE.format(
        language=language,
        policy=content_security_policy(script, style),
        title=texts.gettext("Check a document"),
        style=_whole(style, "style"),
        parts=Markup(page_text(_PARTS, texts, site_key="")),  # noqa: S704  our own template, which escapes values
        script=_whole(script, "script"),
    )
    return page.encode("utf-8")


def content_security_policy(script: str, style: str) -> str:
    """Return a policy that allows exactly this script and this style, and no connection, picture or form."""
    return (
        f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def bundled(name: str) -> str:
    """Return a module and all that it imports as one script, each once, after what it imports itself.

    Not checked: that no two modules declare one name; the script of a file in which they do does not run.
    """
    parts: dict[str, str] = {}

    def add(name: str) -> None:
        if name in parts:
            return
        source = _text(name)
        for imported in _IMPORT.findall(source):
            add(imported)
        parts[name] = _EXPORT.sub("", _IMPORT.sub("", source))

    add(name)
    return "".join(parts.values())


def _text(name: str) -> str:
    return assets()[name].data.decode("utf-8")


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _whole(text: str, element: str) -> Markup:
    """Return the content of an element that ends at its end tag only."""
    if f"</{element}" in text.lower() or "<!--" in text:
        raise ValueError(f"a {element} of the verifier would end too early")
    return Markup(text)  # noqa: S704  a file of ours
