"""mypy refuses each marked line of `refused*.py`, for the reason marked, and no other."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from mypy import api

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
MARK = re.compile(r"# refused: ([a-z-]+(?:, [a-z-]+)*)")
ERROR = re.compile(r"^(?P<file>.+?):(?P<line>\d+): error: (?P<text>.*)  \[(?P<code>[a-z-]+)\]$")

Found = Counter[tuple[int, str]]


def first_lines(source: Path) -> dict[int, int]:
    """Return the first line of the statement on each line, because the formatter may break a long one."""
    first: dict[int, int] = {}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.ClassDef):
            first |= dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), node.lineno)
    return first


def marked(source: Path) -> Found:
    first = first_lines(source)
    lines = source.read_text(encoding="utf-8").splitlines()
    marks = ((number, MARK.search(line)) for number, line in enumerate(lines, start=1))
    return Counter((first.get(number, number), code) for number, mark in marks if mark for code in mark[1].split(", "))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    """The output of mypy for all files, by name; it analyses our modules only once."""
    sources = sorted(FOLDER.glob("refused*.py"))
    output, problem, _ = api.run(
        [
            f"--config-file={ROOT / 'pyproject.toml'}",
            "--strict",
            f"--cache-dir={tmp_path_factory.mktemp('cache')}",
            "--no-error-summary",
            "--hide-error-context",
            "--no-pretty",
            "--no-color-output",
            "--show-error-codes",
            *map(str, sources),
        ]
    )
    assert not problem, problem
    first = {source.name: first_lines(source) for source in sources}
    found: dict[str, Found] = {source.name: Counter() for source in sources}
    for line in output.splitlines():
        if ": note: " in line:
            continue
        match = ERROR.match(line)
        assert match, f"mypy said something else: {line}"
        name, number = Path(match["file"]).name, int(match["line"])
        assert name in found, line
        found[name][first[name].get(number, number), match["code"]] += 1
    return found


@pytest.mark.parametrize(("name", "fewest"), [("refused.py", 70), ("refused_in_use.py", 15)])
def test_mypy_refuses_every_marked_line_for_the_marked_reason_and_no_other(
    name: str, fewest: int, reported: dict[str, Found]
) -> None:
    expected = marked(FOLDER / name)
    assert expected.total() >= fewest
    found = reported[name]
    assert list(expected - found) == [], "mypy accepts these (line, code)"
    assert list(found - expected) == [], "mypy refuses these (line, code), which are not marked"
