"""docs/invitations.md, command by command, as its reader types them."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from command_line import run
from page import console_lines

ROOT = Path(__file__).parents[2]


def test_every_command_of_the_page_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    monkeypatch.setenv("VOLENS_HOME", str(tmp_path / "walk" / "site"))
    monkeypatch.chdir(tmp_path)
    lines = console_lines("invitations.md")
    assert len(lines) == 22

    for line in lines:
        dollar, program, *arguments = shlex.split(line, comments=True)
        assert dollar == "$"
        if program == "echo":
            *text, into, name = arguments
            with Path(name).open("a" if into == ">>" else "w") as file:
                file.write(" ".join(text) + "\n")
            continue
        assert program == "volens"
        expected = re.search(r"# exit code (\d)", line)
        capsys.readouterr()
        assert run(arguments) == (int(expected[1]) if expected else 0), f"{line}: {capsys.readouterr().err}"
    assert len(list(Path("walk/letters").iterdir())) == 4
    assert len(list(Path("walk/all").iterdir())) == 8
