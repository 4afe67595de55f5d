"""Buttons that need a script: until it runs they are disabled or hidden, so that an early tap is not lost.

Sent by the browser itself, a form would arrive without what the script adds, and its answer is no page.
"""

import re
from pathlib import Path

TEMPLATES = Path(__file__).parents[3] / "service" / "web" / "templates"
SENT_BY_A_SCRIPT = re.compile(r"data-send=|data-post=|data-method=|id=\"renewal\"")
FORM = re.compile(r"(<form\b.*?>)(.*?)</form>", re.DOTALL)
PLAIN = re.compile(r"<button\b(?=[^>]*type=\"button\")[^>]*>(?=[^<])")
"""With words of the template; where a script writes the words, it is there."""
IN_HIDDEN_PARTS = ("save-secret", "save-badge", "report-save", "link-done")
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


def test_a_button_with_words_waits_for_its_script() -> None:
    found = {
        button: path.relative_to(TEMPLATES)
        for path in sorted(TEMPLATES.rglob("*.html"))
        for button in PLAIN.findall(path.read_text("utf-8"))
        if not any(f'id="{one}"' in button for one in IN_HIDDEN_PARTS) and "data-digit" not in button
    }

    assert len(found) > 10  # the buttons were found
    assert {button: path for button, path in found.items() if "disabled" not in button and "hidden" not in button} == {}
