"""The scripts that check documents find each of their texts in the page, in every language, with its values."""

import re

import pytest

from volens.service.web.page_language import catalogue
from volens.service.web.page_response import TEMPLATES
from volens.service.web.static_assets import assets
from volens.service.web.verifier_file import bundled

TEXTS = dict(
    re.findall(
        r'<p data-text="([^"]+)">{{ _\("(.*)"\) }}</p>', (TEMPLATES / "verify" / "check_texts.html").read_text("utf-8")
    )
)
SCRIPT = bundled("verify_page.js")
VALUE = re.compile(r"\{(\w+)\}")
GROUPS = (
    "kind",
    "check",
    "proves",
    "limit",
    "state",
    "result",
    "custody",
    "form",
    "reason",
    "held",
    "recorded",
    "term",
)


def test_every_text_that_a_script_names_is_in_the_page() -> None:
    named = set(re.findall(r'"((?:problem|note|limit|key|heading)_[a-z_]+)"', SCRIPT))
    named |= {f"term_{one}" for one in re.findall(r'report\.(?:fact|moment|word)\(\s*"([a-z_0-9]+)"', SCRIPT)}
    assert len(named) > 100
    assert not named - set(TEXTS)


def test_every_kind_of_document_has_its_texts_and_every_planned_check_too() -> None:
    kinds = re.findall(r"^  (\w+): \{ planned: (?:(\w+)|\[\"(\w+)\"\]|\[\])", SCRIPT, flags=re.MULTILINE)
    assert len(kinds) == 10
    for kind, constant, only in kinds:
        assert f"kind_{kind}" in TEXTS
        planned = [only] if only else []
        if constant:
            listed = re.search(rf"const {constant} = \[(.*?)\];", SCRIPT, flags=re.DOTALL)
            assert listed is not None, constant
            planned = re.findall(r'"(\w+)"', listed[1])
            assert planned
        for check in planned:
            assert f"check_{kind}_{check}" in TEXTS
        if kind != "unknown":
            assert f"proves_{kind}" in TEXTS
            assert f"limit_{kind}_1" in TEXTS


def test_no_text_is_in_the_page_for_nothing() -> None:
    words = set(re.findall(r"[\w-]+", SCRIPT))
    unused = [name for name in TEXTS if name not in words and name.partition("_")[0] not in {*GROUPS, "note"}]
    assert unused == []


@pytest.mark.parametrize("language", ["fr", "de"])
def test_a_translation_has_the_values_of_the_text(language: str) -> None:
    known = catalogue(language, "verify")  # type: ignore[arg-type]  # the parameter
    for text in TEXTS.values():
        message = known.get(text)
        assert message is not None, text
        assert set(VALUE.findall(str(message.string))) == set(VALUE.findall(text)), text


def test_no_two_modules_of_the_verifier_declare_one_name_and_each_is_in_it_once() -> None:
    names = re.findall(r"^(?:async )?(?:function\*?|const|let|class) (\w+)", SCRIPT, flags=re.MULTILINE)
    assert len(names) > 150
    assert len(names) == len(set(names))
    assert "import " not in re.sub(r"//.*|/\*.*?\*/", "", SCRIPT, flags=re.DOTALL)
    assert set(re.findall(r'from "\./([a-z0-9_]+\.js)"', "".join(one.data.decode() for one in assets().values()))) >= {
        "compact_jws.js",
        "passkey_check.js",
    }
