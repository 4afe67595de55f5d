"""docs/regulators.md: every command that meets a demand exists, and every page that it names."""

import re
from pathlib import Path

import pytest
from command_line import run

PAGE = Path(__file__).parents[2] / "docs" / "regulators.md"
COMMANDS = sorted(set(re.findall(r"`(volens [a-z -]+)`", PAGE.read_text("utf-8"))))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_exists(command: str) -> None:
    assert run([*command.split()[1:], "--help"]) == 0


def test_every_page_exists_and_every_demand_has_an_answer() -> None:
    text = PAGE.read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (PAGE.parent / target).exists(), target
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 35
    assert all(cells[2].strip() for cells in rows)
