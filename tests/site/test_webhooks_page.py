"""docs/webhooks.md, command by command, as its reader types them."""

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
    monkeypatch.setenv("VOLENS_HOME", str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    lines = console_lines("webhooks.md")
    assert len(lines) == 17
    said: dict[str, str] = {}

    for line in lines:
        dollar, program, *arguments = shlex.split(line)
        assert (dollar, program) == ("$", "volens")
        capsys.readouterr()
        assert run(arguments) == 0, f"{line}: {capsys.readouterr().err}"
        said[line] = capsys.readouterr().out

    assert "consent.given" in said["$ volens webhook outbox"]
    capsys.readouterr()
    assert run(["webhook", "outbox", "--json"]) == 0
    left = capsys.readouterr().out
    assert "subject.erased" in left
    assert "consent.given" not in left
    for name in ("panels.secret", "staff.secret"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
