"""A form that a script sends: until the script runs, its button does nothing, so that an early tap is not lost.

Sent by the browser itself, such a form would arrive without what the script adds, and its answer is no page.
"""

import re
from pathlib import Path

TEMPLATES = Path(__file__).parents[3] / "service" / "web" / "templates"
SENT_BY_A_SCRIPT = re.compile(r"data-send=|data-post=|data-method=|id=\"renewal\"")
FORM = re.compile(r"(<form\b.*?>)(.*?)</form>", re.DOTALL)
SUBMIT = re.compile(r"<button\b[^>]*type=\"submit\"[^>]*>")


def scripted_forms(template: Path) -> list[tuple[str, str]]:
    found = FORM.findall(template.read_text("utf-8"))
    return [(opening, body) for opening, body in found if SENT_BY_A_SCRIPT.search(opening)]


def test_a_form_that_a_script_sends_waits_for_its_script() -> None:
    forms = {path: scripted_forms(path) for path in sorted(TEMPLATES.rglob("*.html"))}
    early = [
        f"{path.relative_to(TEMPLATES)}: {button}"
        for path, found in forms.items()
        for _, body in found
        for button in SUBMIT.findall(body)
        if "disabled" not in button
    ]

    assert sum(map(len, forms.values())) > 30  # the forms were found
    assert early == []
