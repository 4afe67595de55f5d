"""docs/threat-model.md: every attack has a result, and every test that the page names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
ATTACKS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE[PAGE.index("| id |") :].splitlines()[2:]
    if line.startswith("|")
]


def test_every_attack_has_a_result_and_a_test() -> None:
    assert len(ATTACKS) > 40
    without = [identity for identity, _attack, result, tests in ATTACKS if not result or "`" not in tests]
    assert without == []


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`([a-z_/]+)::(test_[a-z0-9_]+)`", PAGE)
    assert len(named) >= len(ATTACKS)
    missing = [f"{file}::{name}" for file, name in named if name not in _tests_of(file)]
    assert missing == []


def _tests_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
